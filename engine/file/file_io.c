/* file_io.c - see file.h: the data path.
 *
 * With O_DIRECT, offset, length and address must be multiples of f->align. A
 * request that is not goes through an aligned buffer, a write after reading
 * the blocks at its edges. Two such writes to one block, or one and a zeroing,
 * would undo each other, hence f->rmw. The last block of a file may be a part
 * of one: it is written whole and the file is cut again, which is safe
 * because whatever makes an O_DIRECT file longer holds f->rmw too.
 */
#include "engine/file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/file/file_impl.h"
#include "engine/util/bytes.h"
#include "engine/util/mem.h"

#define BOUNCE_SIZE (256u << 10)

/* Ranges that are multiples of this can be cloned where cloning works. */
#define CLONE_ALIGN 4096

/* Never written; not const, so that it takes no room in the program. */
static _Alignas(4096) uint8_t zeroes[256u << 10];

static file_hook *_Atomic hook;

void file_set_hook(file_hook *new_hook)
{
	atomic_store(&hook, new_hook);
}

int file_hooked(const struct file *f, enum file_op op, uint64_t off,
		uint64_t len, const void *buf)
{
	file_hook *now = atomic_load_explicit(&hook, memory_order_relaxed);

	return now ? now(f, op, off, len, buf) : 0;
}

static bool again(void)
{
	return errno == EINTR || errno == EAGAIN;
}

static void raise_to(_Atomic uint64_t *value, uint64_t least)
{
	uint64_t old = *value;

	while (old < least && !atomic_compare_exchange_weak(value, &old, least))
		;
}

static void direct_take(struct file *f)
{
	if (f->align > 1)
		lock_take(&f->rmw);
}

static void direct_drop(struct file *f)
{
	if (f->align > 1)
		lock_drop(&f->rmw);
}

/* Can the host be asked for this as it is? */
static bool file_fits(const struct file *f, uint64_t off, const void *buf,
		      size_t len)
{
	return is_aligned(off | len | (uintptr_t)buf, f->align);
}

/* Does the host's file end before the file does? Then somebody cut it, and
 * what was taken away is not zeroes. */
static bool was_cut(const struct file *f, uint64_t end)
{
	return !f->block_device && end < f->size;
}

/* Did another program cut off what was there? No flush makes that durable, and
 * what is written behind it would hide it in a hole. The size that is known is
 * never longer than the host's, before and behind the look at that. */
static bool lost_its_end(const struct file *f, uint64_t *end)
{
	uint64_t known = f->size;
	struct stat st;

	if (f->block_device || fstat(f->fd, &st))
		return false;
	*end = (uint64_t)st.st_size;
	return known > *end && f->size > *end;
}

/* Asked before each change from @off on: what is written behind the new end
 * makes a hole of what was cut, and that reads as zeroes. */
static int check_no_hole(const struct file *f, uint64_t off)
{
	uint64_t end;

	return lost_its_end(f, &end) && off > end ? -EIO : 0;
}

static int file_read_all(struct file *f, uint64_t off, uint8_t *buf, size_t len)
{
	while (len) {
		ssize_t n = pread(f->fd, buf, len, (off_t)off);

		if (n < 0 && again())
			continue;
		if (n < 0)
			return -errno;
		/* O_DIRECT stops within a block only at the end, and could
		 * not be continued from there. */
		if (!n || !is_aligned((uint64_t)n, f->align)) {
			if (was_cut(f, off + (uint64_t)n))
				return -EIO;
			memset(buf + n, 0, len - (size_t)n);
			return 0;
		}
		off += (uint64_t)n;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A part that was written before it failed makes the file longer, too. */
static int file_write_all(struct file *f, uint64_t off, const uint8_t *buf,
			  size_t len)
{
	uint64_t start = off;

	while (len) {
		ssize_t n = pwrite(f->fd, buf, len, (off_t)off);

		if (n < 0 && again())
			continue;
		if (n <= 0) {
			n = n ? -errno : -EIO;
			if (off > start)
				raise_to(&f->size, off);
			return (int)n;
		}
		off += (uint64_t)n;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_bounced(struct file *f, uint64_t off, uint8_t *buf, size_t len)
{
	uint8_t *bounce = buf_new(BOUNCE_SIZE);
	int rc = bounce ? 0 : -ENOMEM;

	while (len && !rc) {
		size_t skip = (size_t)(off & (f->align - 1));
		size_t n = (size_t)min_u64(len, BOUNCE_SIZE - skip);

		rc = file_read_all(f, off - skip, bounce,
				   (size_t)align_up(skip + n, f->align));
		if (!rc)
			memcpy(buf, bounce + skip, n);
		off += n;
		buf += n;
		len -= n;
	}
	free(bounce);
	return rc;
}

/* Reads the blocks in which [off, off + len) begins and ends, where it does so
 * inside of them, to their places in @bounce. */
static int read_edges(struct file *f, uint64_t off, size_t len,
		      uint8_t *bounce)
{
	uint64_t start = align_down(off, f->align);
	uint64_t last = align_down(off + len - 1, f->align);
	int rc = 0;

	if (off != start)
		rc = file_read_all(f, start, bounce, f->align);
	if (!rc && !is_aligned(off + len, f->align))
		rc = file_read_all(f, last, bounce + (last - start), f->align);
	return rc;
}

/* f->rmw held. */
static int write_bounced(struct file *f, uint64_t off, const uint8_t *buf,
			 size_t len)
{
	uint64_t keep = max_u64(f->size, off + len);
	uint8_t *bounce = buf_new(BOUNCE_SIZE);
	int rc = bounce ? 0 : -ENOMEM;

	while (len && !rc) {
		size_t skip = (size_t)(off & (f->align - 1));
		size_t n = (size_t)min_u64(len, BOUNCE_SIZE - skip);
		size_t span = (size_t)align_up(skip + n, f->align);

		rc = read_edges(f, off, n, bounce);
		if (rc)
			break;
		memcpy(bounce + skip, buf, n);
		rc = file_write_all(f, off - skip, bounce, span);
		if (!rc && off - skip + span > keep &&
		    ftruncate(f->fd, (off_t)keep))
			rc = -errno;
		off += n;
		buf += n;
		len -= n;
	}
	free(bounce);
	return rc;
}

/* With O_DIRECT, f->rmw held. */
static int write_any(struct file *f, uint64_t off, const void *buf, size_t len)
{
	int rc = file_fits(f, off, buf, len) ? file_write_all(f, off, buf, len)
					     : write_bounced(f, off, buf, len);

	if (!rc)
		raise_to(&f->size, off + len);
	return rc;
}

int file_read(struct file *f, uint64_t off, void *buf, size_t len)
{
	int rc = file_hooked(f, FILE_OP_READ, off, len, NULL);

	if (rc)
		return rc;
	f->reads++;
	f->read_bytes += len;
	return file_fits(f, off, buf, len) ? file_read_all(f, off, buf, len)
					   : read_bounced(f, off, buf, len);
}

int file_write(struct file *f, uint64_t off, const void *buf, size_t len)
{
	int rc = file_hooked(f, FILE_OP_WRITE, off, len, buf);

	if (!rc && len)
		rc = check_no_hole(f, off);
	if (rc || !len)
		return rc;
	f->writes++;
	f->write_bytes += len;
	raise_to(&f->write_highest, off + len);
	if (file_fits(f, off, buf, len) && off + len <= f->size)
		return file_write_all(f, off, buf, len);
	direct_take(f);
	rc = write_any(f, off, buf, len);
	direct_drop(f);
	return rc;
}

static int sync_host(struct file *f)
{
	int rc = file_hooked(f, FILE_OP_FLUSH, 0, 0, NULL);
	uint64_t end;

	if (!rc && lost_its_end(f, &end))
		return -EIO;
	while (!rc && fdatasync(f->fd))
		if (errno != EINTR)
			rc = -errno;
	return rc;
}

int file_flush(struct file *f)
{
	uint64_t seen = f->syncs;

	f->flushes++;
	if (f->cache == FILE_CACHE_UNSAFE)
		return 0;
	/* One at a time: the kernel tells an error to one caller only, and
	 * another one who came out beside it must not miss it. Whoever waited
	 * while a whole fdatasync went by has been served by it. */
	lock_take(&f->sync);
	if (f->syncs == seen && !f->failed) {
		f->syncs++;
		f->failed = sync_host(f);
	}
	lock_drop(&f->sync);
	return f->failed;
}

int file_truncate(struct file *f, uint64_t size)
{
	int rc = file_hooked(f, FILE_OP_TRUNCATE, size, 0, NULL);
	uint64_t old;

	if (!rc)
		rc = check_no_hole(f, size);
	if (rc)
		return rc;
	direct_take(f);
	/* never longer than the host's: see was_cut() */
	old = f->size;
	f->size = min_u64(old, size);
	while (ftruncate(f->fd, (off_t)size) && !rc)
		if (!again())
			rc = -errno;
	f->size = rc ? old : size;
	direct_drop(f);
	return rc;
}

static int host_fallocate(struct file *f, int mode, uint64_t off, uint64_t len)
{
	while (fallocate(f->fd, mode, (off_t)off, (off_t)len))
		if (!again())
			return -errno;
	return 0;
}

/* EINVAL: a block device refuses what is not a multiple of its sectors. */
static bool unsupported(int rc)
{
	return rc == -EOPNOTSUPP || rc == -ENOSYS || rc == -ENOTTY ||
	       rc == -EINVAL;
}

static int file_write_zeroes(struct file *f, uint64_t off, uint64_t len)
{
	int rc = 0;

	for (uint64_t n; len && !rc; off += n, len -= n) {
		n = min_u64(len, sizeof(zeroes));
		rc = write_any(f, off, zeroes, (size_t)n);
	}
	return rc;
}

/* The best way that the host has; a device is rather unmapped, since it can't
 * tell later what reads as zeroes. ftruncate() is no way: it could cut what
 * another thread appends. */
static int zero_range(struct file *f, uint64_t off, uint64_t len)
{
	int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	int rc;

	if (f->block_device) {
		rc = host_fallocate(f, punch, off, len);
		if (unsupported(rc))
			rc = host_fallocate(f, FALLOC_FL_ZERO_RANGE |
					    FALLOC_FL_KEEP_SIZE, off, len);
	} else {
		rc = host_fallocate(f, FALLOC_FL_ZERO_RANGE, off, len);
		if (!unsupported(rc))
			return rc;
		rc = host_fallocate(f, punch, off, len);
		if (!rc && off + len > f->size)
			rc = file_write_zeroes(f, off + len - 1, 1);
	}
	return unsupported(rc) ? file_write_zeroes(f, off, len) : rc;
}

int file_zero(struct file *f, uint64_t off, uint64_t len)
{
	int rc = file_hooked(f, FILE_OP_ZERO, off, len, NULL);

	if (!rc && len)
		rc = check_no_hole(f, off);
	if (rc || !len)
		return rc;
	direct_take(f);
	rc = zero_range(f, off, len);
	if (!rc)
		raise_to(&f->size, off + len);
	direct_drop(f);
	return rc;
}

int file_discard(struct file *f, uint64_t off, uint64_t len)
{
	uint64_t range[2] = { off, len };
	int rc = file_hooked(f, FILE_OP_DISCARD, off, len, NULL);

	if (rc || !len)
		return rc;
	direct_take(f);
	rc = host_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    off, len);
	if (unsupported(rc) && f->block_device)
		rc = ioctl(f->fd, BLKDISCARD, range) ? -errno : 0;
	direct_drop(f);
	return unsupported(rc) ? 0 : rc;
}

int file_reserve(struct file *f, uint64_t off, uint64_t len)
{
	int rc = file_hooked(f, FILE_OP_RESERVE, off, len, NULL);

	if (!rc)
		rc = check_no_hole(f, off);
	if (rc || !len || f->block_device)
		return rc;
	direct_take(f);
	/* Behind the end of the file nothing is kept: ext4 takes it away when
	 * another write there fails. */
	rc = host_fallocate(f, 0, off, len);
	if (!rc)
		raise_to(&f->size, off + len);
	direct_drop(f);
	return unsupported(rc) ? 0 : rc;
}

static int host_clone(struct file *dst, uint64_t dst_off, struct file *src,
		      uint64_t src_off, uint64_t len)
{
	struct file_clone_range range = {
		.src_fd = src->fd,
		.src_offset = src_off,
		.src_length = len,
		.dest_offset = dst_off,
	};

	while (ioctl(dst->fd, FICLONERANGE, &range))
		if (!again())
			return -errno;
	return 0;
}

int file_clone(struct file *dst, uint64_t dst_off, struct file *src,
	       uint64_t src_off, uint64_t len)
{
	int rc = file_hooked(dst, FILE_OP_CLONE, dst_off, len, NULL);

	if (!rc && len)
		rc = check_no_hole(dst, dst_off);
	if (rc || !len)
		return rc;
	if (!dst->can_clone)
		return -EOPNOTSUPP;
	/* What every host refuses says nothing about this one. */
	if (!is_aligned(dst_off | src_off | len, CLONE_ALIGN) ||
	    src_off + len > src->size)
		return -EINVAL;
	direct_take(dst);
	rc = host_clone(dst, dst_off, src, src_off, len);
	if (!rc)
		raise_to(&dst->size, dst_off + len);
	direct_drop(dst);
	if (unsupported(rc) || rc == -EXDEV)
		dst->can_clone = false;
	return rc;
}

void file_start_writeback(struct file *f, uint64_t off, uint64_t len)
{
	/* Without a WAIT flag: those would take the error that belongs to
	 * file_flush(). */
	if (f->cache == FILE_CACHE_WRITEBACK && !f->block_device)
		sync_file_range(f->fd, (off_t)off, (off_t)len,
				SYNC_FILE_RANGE_WRITE);
}

/* There is no data from @off on. */
static int last_hole(const struct file *f, uint64_t off, uint64_t *len)
{
	off_t end = lseek(f->fd, 0, SEEK_END);

	if (end < 0)
		return -errno;
	if (!was_cut(f, (uint64_t)end))
		return 0;
	if (off >= (uint64_t)end)
		return -EIO;
	*len = min_u64(*len, (uint64_t)end - off);
	return 0;
}

int file_extent(struct file *f, uint64_t off, uint64_t *len, bool *data)
{
	off_t at, end;

	*data = true;
	if (f->block_device)
		return 0;
	at = lseek(f->fd, (off_t)off, SEEK_DATA);
	if (at < 0 && errno != ENXIO)
		return unsupported(-errno) ? 0 : -errno;
	*data = at == (off_t)off;
	if (at < 0)
		return last_hole(f, off, len);
	if (!*data) {
		*len = min_u64(*len, (uint64_t)at - off);
		return 0;
	}
	end = lseek(f->fd, (off_t)off, SEEK_HOLE);
	/* A hole that was punched in between: data is a true answer too. */
	if (end > (off_t)off)
		*len = min_u64(*len, (uint64_t)end - off);
	return 0;
}
