/* peek.c - see peek.h. */
#include "engine/chain/peek.h"

#include <stdlib.h>
#include <string.h>

#include "engine/image/guess.h"
#include "engine/image/qcow2/qcow2.h"
#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/mem.h"
#include "engine/util/thread.h"

/* Where qemu-img puts a name it lies within these; else it is read by itself.
 */
#define HEAD_BYTES 4096

#define QED_MAGIC "QED\0"
#define QED_AT_FEATURES 16
#define QED_FEATURE_BACKING 1u
#define QED_AT_SIZE 48
#define QED_AT_BACKING 56
#define QED_AT_BACKING_LEN 60

/* The first bytes of a file. */
struct head {
	int fd;
	uint8_t bytes[HEAD_BYTES];
	size_t len;
};

/* Up to a NUL, as every reader of these formats does. 0 or -errno. */
static int head_name(const struct head *h, uint64_t at, uint32_t len,
		     char name[PEEK_NAME_MAX + 1])
{
	int n = (int)len;

	if (!at || at > INT64_MAX - PEEK_NAME_MAX || !len ||
	    len > PEEK_NAME_MAX)
		return 0;
	if (at <= h->len && len <= h->len - at)
		memcpy(name, h->bytes + at, len);
	else
		n = folder_peek(h->fd, at, name, len);
	name[n == (int)len ? len : 0] = '\0';
	return n < 0 ? n : 0;
}

/* The data file's name is a header extension. */
static int head_extensions(const struct head *h, struct peek *out)
{
	size_t at = get_be32(h->bytes + QCOW2_AT_HEADER_LENGTH);

	while (at <= h->len && h->len - at >= 8) {
		uint32_t type = get_be32(h->bytes + at);
		uint32_t len = get_be32(h->bytes + at + 4);

		if (type == QCOW2_EXT_DATA_FILE)
			return head_name(h, at + 8, len, out->data);
		if (!type || len > h->len)
			break;
		at += 8 + ((size_t)len + 7) / 8 * 8;
	}
	return 0;
}

/* qcow has the name and the size where qcow2 has them. */
static int head_qcow2(const struct head *h, struct peek *out)
{
	const uint8_t *p = h->bytes;
	int rc = head_name(h, get_be64(p + QCOW2_AT_BACKING),
			   get_be32(p + QCOW2_AT_BACKING_LEN), out->backing);

	out->size = get_be64(p + QCOW2_AT_SIZE);
	if (get_be32(p + QCOW2_AT_VERSION) >= 2)
		out->snapshots = get_be32(p + QCOW2_AT_NB_SNAPSHOTS);
	out->external = get_be32(p + QCOW2_AT_VERSION) >= 3 &&
			h->len >= QCOW2_AT_COMPRESSION &&
			get_be64(p + QCOW2_AT_INCOMPATIBLE) &
			QCOW2_INCOMPAT_DATA_FILE;
	return rc || !out->external ? rc : head_extensions(h, out);
}

static uint32_t get_le32(const uint8_t *p)
{
	uint32_t u32;

	memcpy(&u32, p, sizeof(u32));
	return le32toh(u32);
}

static uint64_t get_le64(const uint8_t *p)
{
	return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

static int head_qed(const struct head *h, struct peek *out)
{
	const uint8_t *p = h->bytes;

	out->size = get_le64(p + QED_AT_SIZE);
	if (!(p[QED_AT_FEATURES] & QED_FEATURE_BACKING))
		return 0;
	return head_name(h, get_le32(p + QED_AT_BACKING),
			 get_le32(p + QED_AT_BACKING_LEN), out->backing);
}

static void peek_clear(struct peek *out)
{
	*out->backing = *out->data = '\0';
	out->external = false;
	out->format = NULL;
	out->size = 0;
	out->snapshots = 0;
}

int peek_read(int fd, struct peek *out)
{
	struct head h = { .fd = fd };
	int n = folder_peek(fd, 0, h.bytes, sizeof(h.bytes));

	peek_clear(out);
	if (n < 0)
		return n;
	h.len = (size_t)n;
	out->format = guess_format(h.bytes, h.len);
	if (h.len < PEEK_MIN)
		return 0;
	if (get_be32(h.bytes) == QCOW2_MAGIC)
		return head_qcow2(&h, out);
	if (!memcmp(h.bytes, QED_MAGIC, 4))
		return head_qed(&h, out);
	return 0;
}

/* --- what was looked at before --- */

/* A change within this of the last one may leave all times as they were. */
#define SETTLED_NS (2 * NS_PER_SEC)
#define SLOTS_FIRST 1024	/* a power of two */

struct peeked {
	dev_t dev;
	ino_t ino;		/* 0: nothing is here */
	off_t size;
	struct timespec mtime, ctime;
	char *backing, *data;	/* NULL: none */
	bool external;
	const char *format;	/* these three as in struct peek */
	uint64_t disk;
	uint32_t snapshots;
};

struct peek_cache {
	struct lock lock;	/* leaf; guards all */
	struct peeked *slot;	/* NULL: none; at most half are in use */
	size_t slots, count;
};

struct peek_cache *peek_cache_new(void)
{
	struct peek_cache *cache = mem_alloc(sizeof(*cache));

	lock_init(&cache->lock);
	return cache;
}

static void peeked_release(struct peeked *p)
{
	free(p->backing);
	free(p->data);
}

static void cache_clear(struct peek_cache *cache)
{
	for (size_t i = 0; i < cache->slots; i++)
		peeked_release(&cache->slot[i]);
	free(cache->slot);
	cache->slot = NULL;
	cache->slots = cache->count = 0;
}

void peek_cache_free(struct peek_cache *cache)
{
	if (!cache)
		return;
	cache_clear(cache);
	lock_release(&cache->lock);
	free(cache);
}

/* The slot that has the file, or the free one where it belongs. */
static struct peeked *cache_slot(struct peeked *slot, size_t slots, dev_t dev,
				 ino_t ino)
{
	uint64_t hash = ((uint64_t)ino ^ (uint64_t)dev << 40) *
			0x9e3779b97f4a7c15ull;
	size_t at = hash >> 32 & (slots - 1);

	while (slot[at].ino && (slot[at].ino != ino || slot[at].dev != dev))
		at = (at + 1) & (slots - 1);
	return &slot[at];
}

/* Room for one more; without memory there may be none. */
static bool peek_cache_room(struct peek_cache *cache)
{
	size_t slots = cache->slots ? 2 * cache->slots : SLOTS_FIRST;
	struct peeked *slot;

	if (cache->count == PEEK_CACHE_MAX)
		cache_clear(cache);
	if (2 * cache->count + 1 < cache->slots)
		return true;
	slot = mem_try(slots, sizeof(*slot));
	if (!slot)
		return false;
	for (size_t i = 0; i < cache->slots; i++)
		if (cache->slot[i].ino)
			*cache_slot(slot, slots, cache->slot[i].dev,
				    cache->slot[i].ino) = cache->slot[i];
	free(cache->slot);
	cache->slot = slot;
	cache->slots = slots;
	return true;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool cache_get(struct peek_cache *cache, const struct stat *st,
		      struct peek *out)
{
	const struct peeked *p;
	bool found = false;

	lock_take(&cache->lock);
	p = !cache->slot ? NULL : cache_slot(cache->slot, cache->slots,
					     st->st_dev, st->st_ino);
	if (p && p->ino && p->size == st->st_size &&
	    same_time(&p->mtime, &st->st_mtim) &&
	    same_time(&p->ctime, &st->st_ctim)) {
		strcpy(out->backing, p->backing ? p->backing : "");
		strcpy(out->data, p->data ? p->data : "");
		out->external = p->external;
		out->format = p->format;
		out->size = p->disk;
		out->snapshots = p->snapshots;
		found = true;
	}
	lock_drop(&cache->lock);
	return found;
}

static bool peek_is_settled(const struct stat *st)
{
	uint64_t now = clock_wall_us() * 1000;
	uint64_t changed = (uint64_t)st->st_ctim.tv_sec * NS_PER_SEC +
			   (uint64_t)st->st_ctim.tv_nsec;

	return changed + SETTLED_NS < now;
}

static void cache_put(struct peek_cache *cache, const struct stat *st,
		      const struct peek *said)
{
	struct peeked *p, new = {
		.dev = st->st_dev, .ino = st->st_ino, .size = st->st_size,
		.mtime = st->st_mtim, .ctime = st->st_ctim,
		.external = said->external, .format = said->format,
		.disk = said->size, .snapshots = said->snapshots,
	};

	if (*said->backing)
		new.backing = mem_try_dup(said->backing, PEEK_NAME_MAX);
	if (*said->data)
		new.data = mem_try_dup(said->data, PEEK_NAME_MAX);
	lock_take(&cache->lock);
	if (st->st_ino && !new.backing == !*said->backing &&
	    !new.data == !*said->data && peek_cache_room(cache)) {
		p = cache_slot(cache->slot, cache->slots, st->st_dev,
			       st->st_ino);
		cache->count += !p->ino;
		peeked_release(p);
		*p = new;
		new.backing = new.data = NULL;
	}
	lock_drop(&cache->lock);
	peeked_release(&new);
}

/* Any file of that number, in whatever folder: is it worth asking for more? */
static bool cache_knows(struct peek_cache *cache, dev_t dev, ino_t ino)
{
	bool known;

	lock_take(&cache->lock);
	known = cache->slot && cache_slot(cache->slot, cache->slots, dev,
					  ino)->ino;
	lock_drop(&cache->lock);
	return known;
}

/* Most are looked at for the first time, and opened at once. */
void peek_cached(struct peek_cache *cache, const struct folder *folder,
		 struct folder_entry *entry, struct peek *out)
{
	struct stat st;
	int fd, rc;

	peek_clear(out);
	if (cache_knows(cache, folder_identify(folder)->st_dev, entry->ino) &&
	    !folder_entry_stat(folder, entry))
		return;
	if (!entry->ino && cache_get(cache, &entry->st, out))
		return;
	if (!entry->ino && entry->st.st_size < PEEK_MIN) {
		out->format = "raw";
		return;
	}
	fd = folder_peek_open(folder, entry->name, &st);
	if (fd < 0)
		return;
	if (entry->ino)
		entry->st = st;
	entry->ino = 0;
	rc = peek_read(fd, out);
	folder_unpeek(fd);
	if (!rc && peek_is_settled(&entry->st))
		cache_put(cache, &entry->st, out);
}
