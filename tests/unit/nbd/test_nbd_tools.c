/* The NBD server and the programs that people use: nbdinfo, nbdcopy, qemu-img,
 * qemu-io, fio. What is not installed is skipped. */
#include "tests/unit/nbd_client.h"

#include <pthread.h>

static int enter_tools(void **state)
{
	char here[4096], *uri;

	if (enter_serving(state) || !getcwd(here, sizeof(here)))
		return -1;
	uri = mem_printf("nbd+unix:///disk0?socket=%s/sock", here);
	setenv("U", uri, 1);
	free(uri);
	return 0;
}

static void need(const char *program)
{
	char *line = mem_printf("command -v %s >/dev/null", program);
	int rc = system(line);

	free(line);
	if (rc)
		skip();
}

static void snapshot(const char *file)
{
	struct snapshot_options o = { .device = "disk0", .file = file };

	if (engine_snapshot(engine, &o, NULL, &err))
		fail_msg("%s", err.text);
}

/* What was written is in the files, for those who look there. */
static void settle(void)
{
	assert_int_equal(engine_flush(engine, "disk0", &err), 0);
}

static void test_nbdinfo(void **state)
{
	(void)state;
	need("nbdinfo");
	write_mib(1, 1);
	snapshot("sn1");
	write_mib(2, 2);
	run("nbdinfo \"$U\" > out");
	run("grep -q 'export-size: 8388608' out");
	run("grep -q 'base:allocation' out");
	run("grep -q 'qemu:allocation-depth' out");
	run("grep -q 'can_multi_conn: true' out");
	run("grep -q 'can_fast_zero: true' out");
	run("grep -q 'block_size_preferred: 65536' out");
	run("test \"$(nbdinfo --map \"$U\" | awk '{ print $1, $2, $3 }')\" = "
	    "'0 1048576 3\n1048576 2097152 0\n3145728 5242880 3'");
	run("test \"$(nbdinfo --map=qemu:allocation-depth \"$U\" | "
	    "awk '{ print $1, $2, $3 }')\" = '0 1048576 0\n"
	    "1048576 1048576 2\n2097152 1048576 1\n3145728 5242880 0'");
	run("nbdinfo --list \"${U%disk0*}${U#*disk0}\" | "
	    "grep -q 'export=\"disk0\"'");
}

static void test_nbdcopy(void **state)
{
	(void)state;
	need("nbdcopy");
	for (unsigned i = 0; i < 8; i += 3)
		write_mib(i, (int)i + 1);
	settle();
	run("nbdcopy \"$U\" there.raw");
	run("nbdcopy --connections=1 --requests=64 \"$U\" again.raw");
	run("cmp there.raw again.raw");
	run("qemu-img compare -q -U -f raw -F qcow2 there.raw base");
	run("head -c 8388608 /dev/urandom > new.raw");
	run("dd if=/dev/zero of=new.raw bs=65536 seek=20 count=30 "
	    "conv=notrunc status=none");
	run("nbdcopy --flush --destination-is-zero new.raw \"$U\" || "
	    "nbdcopy --flush new.raw \"$U\"");
	run("nbdcopy --flush new.raw \"$U\"");
	run("nbdcopy \"$U\" back.raw && cmp new.raw back.raw");
	settle();
	run("qemu-img compare -q -U -f raw -F qcow2 new.raw base");
}

static void test_qemu_tools(void **state)
{
	(void)state;
	need("qemu-img");
	need("qemu-io");
	write_mib(1, 1);
	snapshot("sn1");
	write_mib(4, 4);
	settle();
	run("qemu-img compare -q -U -f raw -F qcow2 \"$U\" sn1");
	run("qemu-img map --output=json \"$U\" > out");
	run("grep -q '\"start\": 1048576, \"length\": 1048576, \"depth\": 0, "
	    ".*\"zero\": false, \"data\": true' out");
	run("grep -q '\"start\": 2097152, \"length\": 2097152, .*\"zero\": "
	    "true, \"data\": false' out");
	run("qemu-img convert -f raw -O qcow2 \"$U\" copy && "
	    "qemu-img compare -q -U copy sn1");
	run("qemu-io -f raw -c 'write -P 9 4093 3000007' -c 'read -P 9 4093 "
	    "3000007' -c 'write -z -u 1M 1M' -c 'read -P 0 1M 1M' -c 'write "
	    "-z 3M 64k' -c 'discard 2M 64k' -c 'write -f -P 7 5M 512' -c "
	    "flush -c 'read -P 7 5M 512' \"$U\" > out && "
	    "! grep -q -i 'fail\\|error' out");
	run("qemu-img convert -n -f qcow2 -O raw copy \"$U\"");
	settle();
	run("qemu-img compare -q -U copy sn1");
	run("qemu-img check -q -U sn1");
}

/* --- fio with verify, while the chain changes under it --- */

static void *run_fio(void *arg)
{
	*(int *)arg = system("fio --name=x --ioengine=nbd --uri=\"$U\" "
			     "--rw=randrw --bs=16k --iodepth=8 --size=2M "
			     "--numjobs=4 "
			     "--offset_increment=2M --loops=12 --fsync=50 "
			     "--verify=crc32c --verify_fatal=1 "
			     "--do_verify=1 --output=fio.out");
	return NULL;
}

static void await_jobs(void)
{
	struct job_info *jobs;
	size_t n;

	do {
		engine_query_jobs(engine, &jobs, &n);
		free(jobs);
		sched_yield();
	} while (n);
}

/* Two more layers, then fewer again: streamed, or committed and pivoted. */
static void change_chain(unsigned round)
{
	struct stream_options s = { .device = "disk0" };
	struct commit_options c = { .device = "disk0" };
	char a[16], b[16];

	snprintf(a, sizeof(a), "a%u", round);
	snprintf(b, sizeof(b), "b%u", round);
	snapshot(a);
	snapshot(b);
	if (round % 2)
		c.top = a;
	else
		s.base = a;
	if (round % 2 ? engine_commit(engine, &c, &err) :
			engine_stream(engine, &s, &err))
		fail_msg("%s", err.text);
	await_jobs();
}

static void test_fio(void **state)
{
	pthread_t thread;
	int rc = -1;

	(void)state;
	need("fio");
	pthread_create(&thread, NULL, run_fio, &rc);
	for (unsigned i = 0; i < 6; i++)
		change_chain(i);
	pthread_join(thread, NULL);
	if (rc)
		run("cat fio.out");
	assert_int_equal(rc, 0);
	assert_int_equal(nbd_server_stop(server, &err), 0);
	settle();
	run("qemu-img check -q -U b5");
	serve_at("sock", 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_tools, \
						   leave_with_server)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nbdinfo),
		TEST(test_nbdcopy),
		TEST(test_qemu_tools),
		TEST(test_fio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
