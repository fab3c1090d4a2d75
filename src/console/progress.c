/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "src/console/progress.h"

#include <langinfo.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/util/bytes.h"
#include "engine/util/clock.h"
#include "engine/util/size.h"

#define ROW_EVERY_NS (100 * NS_PER_MS)
#define SAMPLE_EVERY_NS (330 * NS_PER_MS)
#define BAR_MOST 30u
#define BAR_LEAST 5u
#define WIPE "\r\033[K"

void progress_init(struct progress *p, int row_fd, int numbers_fd)
{
	*p = (struct progress) {
		.row_fd = row_fd >= 0 && isatty(row_fd) ? row_fd : -1,
		.numbers_fd = numbers_fd, .percent = -1,
	};
}

bool progress_wanted(const struct progress *p)
{
	return p && (p->row_fd >= 0 || p->numbers_fd >= 0);
}

/* --- the row --- */

static int progress_percent(uint64_t done, uint64_t total, bool over)
{
	if (!total)
		return over ? 100 : 0;
	return (int)(100 * ((double)min_u64(done, total) / (double)total));
}

static void progress_bar(struct str *out, uint64_t done, uint64_t total,
			 unsigned columns, bool ascii)
{
	static const char *const part[] = { "", "▏", "▎", "▍", "▌", "▋", "▊",
					    "▉" };
	double share = total ? (double)min_u64(done, total) / (double)total :
		0;
	unsigned eighths = (unsigned)(share * columns * 8), at;

	for (at = 0; at < eighths / 8; at++)
		str_add(out, ascii ? "#" : "█");
	if (!ascii && eighths % 8) {
		str_add(out, part[eighths % 8]);
		at++;
	}
	for (; at < columns; at++)
		str_add(out, ascii ? "-" : "─");
}

/* " 52%  23.0M of 44.0M  20.1M/s  0:01": all of it is one column a byte. */
static void progress_numbers(struct str *out, uint64_t done, uint64_t total,
			     uint64_t rate)
{
	char a[16], b[16];

	if (!total)
		return;
	str_addf(out, " %3d%%  %s of %s", progress_percent(done, total, false),
		 size_short(done, a, sizeof(a)),
		 size_short(total, b, sizeof(b)));
	if (!rate)
		return;
	str_addf(out, "  %s/s", size_short(rate, a, sizeof(a)));
	if (done < total)
		str_addf(out, "  %s", seconds_short((total - done + rate - 1) /
						    rate, a, sizeof(a)));
}

/* Of a narrow terminal the bar goes first, then what it is, and of a very
 * narrow one the numbers, for these. */
void progress_text(struct str *out, const char *what, uint64_t done,
		   uint64_t total, uint64_t rate, unsigned columns, bool ascii)
{
	struct str numbers = STR_INIT;
	unsigned left, name = (unsigned)strlen(what) + 2;

	progress_numbers(&numbers, done, total, rate);
	if (numbers.len > columns)
		str_clear(&numbers);
	left = columns - (unsigned)numbers.len;
	if (left >= name) {
		str_addf(out, "%s  ", what);
		left -= name;
	}
	if (left >= BAR_LEAST)
		progress_bar(out, done, total, left < BAR_MOST ? left :
			     BAR_MOST, ascii);
	str_add(out, str_get(&numbers));
	str_release(&numbers);
}

static void progress_sample(struct progress *p, uint64_t done, uint64_t now)
{
	unsigned n = p->samples;

	if (n && done < p->sample[n - 1].done)
		n = 0;
	if (n && now - p->sample[n - 1].ns < SAMPLE_EVERY_NS) {
		p->samples = n;
		return;
	}
	if (n == PROGRESS_SAMPLES)
		memmove(p->sample, p->sample + 1,
			--n * sizeof(*p->sample));
	p->sample[n].ns = now;
	p->sample[n].done = done;
	p->samples = n + 1;
}

static uint64_t progress_rate(const struct progress *p, uint64_t done,
			      uint64_t now)
{
	if (!p->samples || now == p->sample[0].ns)
		return 0;
	return (uint64_t)((double)(done - p->sample[0].done) *
			  (double)NS_PER_SEC /
			  (double)(now - p->sample[0].ns));
}

static unsigned progress_columns(int fd)
{
	struct winsize size;

	return !ioctl(fd, TIOCGWINSZ, &size) && size.ws_col > 1 ?
		size.ws_col - 1u : 79;
}

static void progress_write(int fd, const struct str *text)
{
	ssize_t n = write(fd, str_get(text), text->len);

	(void)n;	/* nobody looks, then */
}

/* The first comes a moment late: what ends at once is not worth a row. */
static void progress_draw(struct progress *p, const char *what,
			  uint64_t done, uint64_t total)
{
	bool ascii = strcmp(nl_langinfo(CODESET), "UTF-8");
	struct str text = STR_INIT, safe = STR_INIT;
	uint64_t now = clock_ns();

	progress_sample(p, done, now);
	if (!p->begun)
		p->drawn_ns = now;
	p->begun = true;
	if (now - p->drawn_ns < ROW_EVERY_NS)
		return;
	p->drawn_ns = now;
	fflush(stdout);
	str_add_safe(&safe, what);
	str_add(&text, WIPE);
	progress_text(&text, str_get(&safe), done, total,
		      progress_rate(p, done, now),
		      progress_columns(p->row_fd), ascii);
	progress_write(p->row_fd, &text);
	p->drawn = true;
	str_release(&text);
	str_release(&safe);
}

/* Of one who does not read there is nothing to wait for: a line that finds no
 * room is left out. Lines are shorter than what a pipe takes at once. */
static void progress_tell(int fd, uint64_t done, uint64_t total)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT))
		dprintf(fd, "%llu %llu\n", (unsigned long long)done,
			(unsigned long long)total);
}

/* --- both --- */

void progress_show(struct progress *p, const char *what, uint64_t done,
		   uint64_t total, bool over)
{
	int percent = progress_percent(done, total, over);

	p->total = total;
	if (p->row_fd >= 0 && !over)
		progress_draw(p, what, done, total);
	if (p->numbers_fd < 0 || percent == p->percent || (!total && !over))
		return;
	p->percent = percent;
	progress_tell(p->numbers_fd, min_u64(done, total), total);
}

void progress_done(struct progress *p)
{
	if (p && p->total)
		progress_show(p, "", p->total, p->total, true);
}

void progress_hide(struct progress *p)
{
	const struct str wipe = { .s = (char *)WIPE,
				  .len = sizeof(WIPE) - 1 };

	if (p && p->drawn)
		progress_write(p->row_fd, &wipe);
	if (p)
		p->drawn = false;
}

void progress_end(struct progress *p)
{
	progress_hide(p);
	if (p)
		progress_init(p, p->row_fd, p->numbers_fd);
}
