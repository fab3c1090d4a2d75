/* qcow2_compress.c - one compressed cluster; see qcow2.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include "engine/image/qcow2/qcow2.h"
#include "engine/util/bug.h"
#include "engine/util/mem.h"

#define ZLIB_WINDOW (-12)	/* raw deflate, 4 KiB */

/* What a thread keeps from one cluster to the next. */
struct inflater {
	z_stream zlib;
	bool zlib_ready;
	ZSTD_DCtx *zstd;	/* NULL until needed */
};

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void inflater_free(void *p)
{
	struct inflater *inf = p;

	if (inf->zlib_ready)
		inflateEnd(&inf->zlib);
	ZSTD_freeDCtx(inf->zstd);
	free(inf);
}

static void make_key(void)
{
	BUG_ON(pthread_key_create(&key, inflater_free));
}

static struct inflater *inflater_get(void)
{
	struct inflater *inf;

	pthread_once(&key_once, make_key);
	inf = pthread_getspecific(key);
	if (inf)
		return inf;
	inf = mem_try(1, sizeof(*inf));
	if (inf && pthread_setspecific(key, inf)) {
		free(inf);
		return NULL;
	}
	return inf;
}

static int inflate_zlib(struct inflater *inf, void *dst, size_t cluster,
			const void *src, size_t src_len)
{
	z_stream *z = &inf->zlib;
	int rc;

	rc = inf->zlib_ready ? inflateReset(z) : inflateInit2(z, ZLIB_WINDOW);
	if (rc != Z_OK)
		return -ENOMEM;
	inf->zlib_ready = true;
	z->next_in = src;
	z->avail_in = (uInt)src_len;
	z->next_out = dst;
	z->avail_out = (uInt)cluster;
	rc = inflate(z, Z_FINISH);
	/* The cluster may be full before the end of the stream is seen. */
	return (rc == Z_STREAM_END || rc == Z_BUF_ERROR) && !z->avail_out ?
	       0 : -EIO;
}

/* Frame by frame into the cluster itself: unlike the streaming calls this
 * allocates no window, which a frame may ask to be 128 MiB. */
static int inflate_zstd(struct inflater *inf, void *dst, size_t cluster,
			const void *src, size_t src_len)
{
	const char *in = src;
	char *out = dst;
	size_t frame, made;

	if (!inf->zstd)
		inf->zstd = ZSTD_createDCtx();
	if (!inf->zstd)
		return -ENOMEM;
	while (cluster) {
		frame = ZSTD_findFrameCompressedSize(in, src_len);
		if (ZSTD_isError(frame))
			return -EIO;
		made = ZSTD_decompressDCtx(inf->zstd, out, cluster, in, frame);
		if (ZSTD_isError(made))
			return -EIO;
		in += frame;
		src_len -= frame;
		out += made;
		cluster -= made;
	}
	return 0;
}

int qcow2_inflate(uint8_t compression, void *dst, size_t cluster,
		  const void *src, size_t src_len)
{
	struct inflater *inf = inflater_get();

	if (!inf)
		return -ENOMEM;
	return (compression ? inflate_zstd : inflate_zlib)(inf, dst, cluster,
							   src, src_len);
}
