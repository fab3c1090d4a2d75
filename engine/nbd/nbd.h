/* nbd.h - the numbers of the NBD protocol, after doc/proto.md of
 * NetworkBlockDevice/nbd. Every field on the wire is big-endian.
 */
#ifndef BLKMON_NBD_H
#define BLKMON_NBD_H

#define NBD_MAGIC 0x4e42444d41474943ull		/* "NBDMAGIC" */
#define NBD_OPTS_MAGIC 0x49484156454f5054ull	/* "IHAVEOPT" */
#define NBD_OPT_REPLY_MAGIC 0x3e889045565a9ull
#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_SIMPLE_MAGIC 0x67446698u
#define NBD_CHUNK_MAGIC 0x668e33efu

#define NBD_REQUEST_BYTES 28
#define NBD_STRING_MAX 4096

/* Handshake flags; the client's have the same bits. */
#define NBD_FIXED_NEWSTYLE (1u << 0)
#define NBD_NO_ZEROES (1u << 1)

enum nbd_opt {
	NBD_OPT_EXPORT_NAME = 1, NBD_OPT_ABORT, NBD_OPT_LIST,
	NBD_OPT_STARTTLS = 5, NBD_OPT_INFO, NBD_OPT_GO,
	NBD_OPT_STRUCTURED_REPLY, NBD_OPT_LIST_META_CONTEXT,
	NBD_OPT_SET_META_CONTEXT,
};

#define NBD_REP_ACK 1u
#define NBD_REP_SERVER 2u
#define NBD_REP_INFO 3u
#define NBD_REP_META_CONTEXT 4u
#define NBD_REP_ERR_UNSUP 0x80000001u
#define NBD_REP_ERR_INVALID 0x80000003u
#define NBD_REP_ERR_UNKNOWN 0x80000006u
#define NBD_REP_ERR_SHUTDOWN 0x80000007u
#define NBD_REP_ERR_TOO_BIG 0x80000009u

enum nbd_info_type {
	NBD_INFO_EXPORT, NBD_INFO_NAME, NBD_INFO_DESCRIPTION,
	NBD_INFO_BLOCK_SIZE,
};

/* Transmission flags. */
#define NBD_FLAG_HAS_FLAGS (1u << 0)
#define NBD_FLAG_READ_ONLY (1u << 1)
#define NBD_FLAG_SEND_FLUSH (1u << 2)
#define NBD_FLAG_SEND_FUA (1u << 3)
#define NBD_FLAG_SEND_TRIM (1u << 5)
#define NBD_FLAG_SEND_WRITE_ZEROES (1u << 6)
#define NBD_FLAG_SEND_DF (1u << 7)
#define NBD_FLAG_CAN_MULTI_CONN (1u << 8)
#define NBD_FLAG_SEND_CACHE (1u << 10)
#define NBD_FLAG_SEND_FAST_ZERO (1u << 11)

enum nbd_cmd {
	NBD_CMD_READ, NBD_CMD_WRITE, NBD_CMD_DISC, NBD_CMD_FLUSH,
	NBD_CMD_TRIM, NBD_CMD_CACHE, NBD_CMD_WRITE_ZEROES,
	NBD_CMD_BLOCK_STATUS,
};

#define NBD_CMD_FLAG_FUA (1u << 0)
#define NBD_CMD_FLAG_NO_HOLE (1u << 1)
#define NBD_CMD_FLAG_DF (1u << 2)
#define NBD_CMD_FLAG_REQ_ONE (1u << 3)
#define NBD_CMD_FLAG_FAST_ZERO (1u << 4)

#define NBD_CHUNK_DONE (1u << 0)
#define NBD_CHUNK_NONE 0u
#define NBD_CHUNK_DATA 1u
#define NBD_CHUNK_HOLE 2u
#define NBD_CHUNK_STATUS 5u
#define NBD_CHUNK_ERROR 0x8001u

/* base:allocation */
#define NBD_STATE_HOLE (1u << 0)
#define NBD_STATE_ZERO (1u << 1)

#define NBD_EPERM 1u
#define NBD_EIO 5u
#define NBD_ENOMEM 12u
#define NBD_EINVAL 22u
#define NBD_ENOSPC 28u
#define NBD_EOVERFLOW 75u
#define NBD_ENOTSUP 95u
#define NBD_ESHUTDOWN 108u

#endif
