/* test_keyval.c - option strings as arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "src/qmp/json/keyval.h"

static void expect(const char *text, const char *implied, const char *want)
{
	struct err err = ERR_INIT;
	json_t *args = keyval_parse(text, implied, &err);
	char *got = json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS);

	assert_string_equal(got ? got : err.text, want);
	free(got);
	json_decref(args);
}

static void pairs(void **state)
{
	(void)state;
	expect("", NULL, "{}");
	expect("a=b,c=", NULL, "{\"a\":\"b\",\"c\":\"\"}");
	expect("a=x,,y=z,b=1", NULL, "{\"a\":\"x,y=z\",\"b\":\"1\"}");
	expect("qcow2,node-name=5", "driver",
	       "{\"driver\":\"qcow2\",\"node-name\":\"5\"}");
	expect("driver=qcow2,file.driver=file,file.filename=/a.b/c",
	       "driver", "{\"driver\":\"qcow2\",\"file\":{\"driver\":"
	       "\"file\",\"filename\":\"/a.b/c\"}}");
	expect("cache.direct=on,cache.no-flush=off,x.y.z=1", NULL,
	       "{\"cache\":{\"direct\":true,\"no-flush\":false},"
	       "\"x\":{\"y\":{\"z\":\"1\"}}}");
}

static void types(void **state)
{
	(void)state;
	expect("read-only=yes,writable=false,name=on", NULL,
	       "{\"name\":\"on\",\"read-only\":true,\"writable\":false}");
	expect("read-only=maybe", NULL, "{\"read-only\":\"maybe\"}");
	expect("size=64M,offset=512,fd=3", NULL,
	       "{\"fd\":3,\"offset\":512,\"size\":67108864}");
	expect("size=-1,offset=x", NULL,
	       "{\"offset\":\"x\",\"size\":\"-1\"}");
	expect("a=b,server,nowait", NULL,
	       "{\"a\":\"b\",\"server\":true,\"wait\":false}");
}

static void json(void **state)
{
	(void)state;
	expect("{\"driver\":\"raw\",\"read-only\":true}", "driver",
	       "{\"driver\":\"raw\",\"read-only\":true}");
	expect("{'a':{'b':1}} ", NULL, "{\"a\":{\"b\":1}}");
	expect("{'a':1", NULL, "JSON parse error, the end is missing");
	expect("{} x", NULL,
	       "JSON parse error, something follows the object");
	expect("{]", NULL, "JSON parse error, expecting value");
}

static void faults(void **state)
{
	(void)state;
	expect("a=1,a.b=2", NULL, "Parameters 'a.*' used inconsistently");
	expect("a.b=2,a=1", NULL, "Parameters 'a.*' used inconsistently");
	expect("=1", NULL, "Invalid parameter ''");
	expect("a.=1", NULL, "Invalid parameter ''");
	expect(".a=1", NULL, "Parameters '.*' used inconsistently");
	expect("a=\x97", NULL, "'a=\x97' is not UTF-8");
	expect("\x97=1", NULL, "'\x97=1' is not UTF-8");
	expect("\x97.a=1", NULL, "Parameters '\x97.*' used inconsistently");
}

/* What a command's table says beyond what is so everywhere. */
static void types_of_a_command(void **state)
{
	json_t *args, *want;
	struct err err = ERR_INIT;

	(void)state;
	args = keyval_parse("flag=y,count=64k,word=on,no=n,other=on", NULL,
			    &err);
	assert_int_equal(keyval_types(args, "*flag:b,count:i,word:s,*no:b,"
				      "*missing:b", &err), 0);
	want = json_pack("{s:b, s:i, s:s, s:b, s:s}", "flag", 1, "count",
			 65536, "word", "on", "no", 0, "other", "on");
	assert_true(json_equal(args, want));
	assert_int_equal(keyval_types(args, "*word:i,other:b,no:b", &err), 0);
	json_decref(args);
	args = keyval_parse("bad=maybe", NULL, &err);
	assert_int_equal(keyval_types(args, "*bad:b", &err), -1);
	assert_string_equal(err.text, "Parameter 'bad' expects 'on' or 'off'");
	json_decref(args);
	json_decref(want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs),
		cmocka_unit_test(types),
		cmocka_unit_test(json),
		cmocka_unit_test(types_of_a_command),
		cmocka_unit_test(faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
