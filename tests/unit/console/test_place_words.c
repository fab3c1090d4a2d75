/* test_place_words.c - what people are told of where a place is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/console/place_words.h"

static void hosts(void **state)
{
	static const char *const pairs[][2] = {
		{ "unix:/run/vm1.qmp", "this host" },
		{ "tcp:127.0.0.1:4444", "127.0.0.1:4444" },
		{ "ssh:host2:/run/vm1.qmp", "host2" },
		{ "ssh:root@host2:/run/a@b", "host2" },
		{ "ssh:[fe80::1]:/run/vm1.qmp", "[fe80::1]" },
		{ "ssh:root@[fe80::1%eth0]:/run/[x]", "[fe80::1%eth0]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		json_t *place = json_pack("{s:s}", "address", pairs[i][0]);
		struct str out = STR_INIT;

		place_add_host(place, &out);
		assert_string_equal(str_get(&out), pairs[i][1]);
		str_release(&out);
		json_decref(place);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
