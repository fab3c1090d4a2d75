/* test_address.c - where a place is: what is an address and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "src/attach/address.h"

static void good(const char *text, enum address_kind kind, const char *name,
		 const char *host, const char *path, const char *brief)
{
	struct err err = ERR_INIT;
	struct address a;
	char *word;

	assert_int_equal(address_parse(&a, text, false, &err), 0);
	assert_int_equal(a.kind, kind);
	assert_string_equal(a.name ? a.name : "", name);
	assert_string_equal(a.host ? a.host : "", host);
	assert_string_equal(a.path, path);
	word = address_short(&a);
	assert_string_equal(word, brief);
	free(word);
	address_release(&a);
}

static void addresses(void **state)
{
	(void)state;
	good("unix:/run/vm1.qmp", ADDRESS_UNIX, "", "", "/run/vm1.qmp", "vm1");
	good("web=unix:a", ADDRESS_UNIX, "web", "", "a", "a");
	good("unix:/x/a=b", ADDRESS_UNIX, "", "", "/x/a=b", "a=b");
	good("unix:.hidden", ADDRESS_UNIX, "", "", ".hidden", ".hidden");
	good("tcp:127.0.0.1:4444", ADDRESS_TCP, "", "127.0.0.1", "4444",
	     "127.0.0.1-4444");
	good("tcp:127.9.9.9:1", ADDRESS_TCP, "", "127.9.9.9", "1",
	     "127.9.9.9-1");
	good("tcp:[::1]:1", ADDRESS_TCP, "", "::1", "1", "::1-1");
	good("tcp:localhost:1", ADDRESS_TCP, "", "localhost", "1",
	     "localhost-1");
	good("db=ssh:root@host2:/run/db.qmp", ADDRESS_SSH, "db", "root@host2",
	     "/run/db.qmp", "db");
	good("ssh:h:/a:b", ADDRESS_SSH, "", "h", "/a:b", "a:b");
	good("ssh:[::1]:/a", ADDRESS_SSH, "", "::1", "/a", "a");
	good("ssh:root@[fe80::1%eth0]:/a:[b]", ADDRESS_SSH, "",
	     "root@fe80::1%eth0", "/a:[b]", "a:[b]");
	good("ssh:h:/a@[b]:c", ADDRESS_SSH, "", "h", "/a@[b]:c", "a@[b]:c");
}

static void bad(const char *text)
{
	struct err err = ERR_INIT;
	struct address a;

	assert_int_equal(address_parse(&a, text, false, &err), -1);
	assert_true(*err.text);
	address_release(&a);
}

static void others(void **state)
{
	static const char *const texts[] = {
		"", "x", "unix:", "web=", "a/b=unix:x", "udp:1", "tcp:",
		"tcp:1", "tcp:127.0.0.1:", "tcp:127.0.0.1:x", "tcp::1",
		"ssh:", "ssh:h",
		"ssh:h:", "ssh::/x", "ssh:-h:/x", "ssh:u@-h:/x", "ssh:u@:/x",
		"tcp:128.0.0.1:1", "tcp:0.0.0.0:1", "tcp:host:1",
		"tcp:[::2]:1", "tcp:127.0.0.1.example.com:1", "UNIX:x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		bad(texts[i]);
}

static void options(void **state)
{
	struct err err = ERR_INIT;
	struct address a;

	(void)state;
	assert_int_equal(address_parse(&a, "unix:/a,b,look=on,force=off", false,
				       &err), 0);
	assert_string_equal(a.path, "/a,b");
	assert_true(a.look && !a.force && a.hold);
	address_release(&a);
	assert_int_equal(address_parse(&a, "unix:/a,hold=off", false, &err),
			 0);
	assert_string_equal(a.path, "/a");
	assert_true(!a.hold);
	address_release(&a);
	assert_int_equal(address_parse(&a, "unix:/a,look=maybe", false, &err),
			 0);
	assert_string_equal(a.path, "/a,look=maybe");
	assert_false(a.look);
	address_release(&a);
	assert_int_equal(address_parse(&a, "tcp:10.0.0.1:1", true, &err), 0);
	address_release(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(others),
		cmocka_unit_test(options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
