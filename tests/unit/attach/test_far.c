/* test_far.c - who is called what at an end, and how its images lie on each
 * other, from replies of several generations of QEMU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "engine/util/str.h"
#include "src/attach/far_impl.h"

static void shown(const char *device, const char *qdev, const char *node,
		  const char *name)
{
	char *text = far_names_shown(device, qdev, node);

	assert_string_equal(text, name);
	free(text);
}

static void names_of_drives(void **state)
{
	(void)state;
	shown("disk0", "/machine/peripheral/vd0/virtio-backend", "#b", "disk0");
	shown("", "/machine/peripheral/virtio-disk0/virtio-backend", "n",
	      "virtio-disk0");
	shown("", "/machine/unattached/device[3]", "n", "device[3]");
	shown("", "/machine/peripheral-anon/device[0]/virtio-backend", "n",
	      "device[0]");
	shown("", "ide0-0", "n", "ide0-0");
	shown("", "/virtio-backend", "n", "virtio-backend");
	shown("", "", "n", "n");
}

static json_t *parse(const char *text)
{
	json_error_t where;
	json_t *value = json_loads(text, 0, &where);

	assert_non_null(value);
	return value;
}

static void managed(const char *name, bool is)
{
	json_t *nodes = json_pack("[{s:s}]", "node-name", name);

	assert_int_equal(far_names_are_managed(nodes), is);
	json_decref(nodes);
}

static void managed_nodes(void **state)
{
	(void)state;
	managed("libvirt-1-format", true);
	managed("libvirt-27-storage", true);
	managed("libvirt-3-slice-sto", true);
	managed("libvirt-1", false);
	managed("libvirt--format", false);
	managed("my-libvirt-1-format", false);
	managed("#block001", false);
	managed("", false);
}

static void jobs_as_shown(void **state)
{
	(void)state;
	assert_string_equal(far_job_shown("blkmon-disk0"), "disk0");
	assert_string_equal(far_job_shown("disk0"), "disk0");
	assert_string_equal(far_job_shown("blkmon-"), "blkmon-");
	assert_string_equal(far_job_shown("commit-vda-x"), "commit-vda-x");
}

/* What lies below each, as "over>under" and blanks between. */
static void links(const char *nodes_text, const char *expected)
{
	struct far far = { .commands = json_object() };
	const struct far_call call = { .far = &far };
	json_t *nodes = parse(nodes_text), *list, *link;
	struct err err = ERR_INIT;
	struct str text = STR_INIT;
	size_t i;

	lock_init(&far.lock);
	list = far_links(&call, nodes, &err);
	json_array_foreach(list, i, link)
		str_addf(&text, "%s>%s ", json_string_value(json_object_get(
			 link, "node-name")), json_string_value(
			 json_object_get(link, "backing")));
	assert_string_equal(str_get(&text), expected);
	str_release(&text);
	json_decref(list);
	json_decref(nodes);
	json_decref(far.commands);
	lock_release(&far.lock);
}

/* 10.1 says it in each node; between mid and base a commit has put itself. */
static void links_of_children(void **state)
{
	(void)state;
	links("[{\"node-name\": \"top\", \"drv\": \"qcow2\", \"children\": ["
	      "{\"child\": \"file\", \"node-name\": \"f\"},"
	      "{\"child\": \"backing\", \"node-name\": \"#c\"}]},"
	      "{\"node-name\": \"#c\", \"drv\": \"commit_top\", \"children\": ["
	      "{\"child\": \"backing\", \"node-name\": \"mid\"}]},"
	      "{\"node-name\": \"mid\", \"drv\": \"qcow2\", \"children\": []}]",
	      "top>mid #c>mid mid> ");
	/* A ring is no reason to go round for ever. */
	links("[{\"node-name\": \"a\", \"drv\": \"qcow2\", \"children\": ["
	      "{\"child\": \"backing\", \"node-name\": \"#x\"}]},"
	      "{\"node-name\": \"#x\", \"drv\": \"throttle\", \"children\": ["
	      "{\"child\": \"file\", \"node-name\": \"#x\"}]}]", "a>#x #x>#x ");
}

static void links_of_files(void **state)
{
	(void)state;
	links("[{\"node-name\": \"top\", \"drv\": \"qcow2\", \"image\": {"
	      "\"filename\": \"/t\", \"format\": \"qcow2\","
	      "\"full-backing-filename\": \"/b\"}},"
	      "{\"node-name\": \"bf\", \"drv\": \"file\", \"image\": {"
	      "\"filename\": \"/b\", \"format\": \"file\"}},"
	      "{\"node-name\": \"b\", \"drv\": \"qcow2\", \"image\": {"
	      "\"filename\": \"/b\", \"format\": \"qcow2\"}}]",
	      "top>b bf> b> ");
}

static void called(const char *file, const char *shown)
{
	json_t *node = json_pack("{s:s, s:{s:s, s:{s:s}}}", "file", file,
				 "image", "filename", file, "backing-image",
				 "filename", file);
	const json_t *image = json_object_get(node, "image");

	far_files_plain(node);
	assert_string_equal(far_arg(node, "file"), shown);
	assert_string_equal(far_arg(image, "filename"), shown);
	assert_string_equal(far_arg(json_object_get(image, "backing-image"),
				    "filename"), shown);
	json_decref(node);
}

/* Only what is all of one file has its name. */
static void names_of_files(void **state)
{
	static const char nbd[] = "json:{\"driver\": \"qcow2\", \"file\": {"
		"\"driver\": \"nbd\", \"export\": \"x\"}}";
	static const char part[] = "json:{\"driver\": \"raw\", \"offset\": 512,"
		" \"file\": {\"driver\": \"file\", \"filename\": \"/x\"}}";

	(void)state;
	called("/x/top", "/x/top");
	called("json:{\"driver\": \"qcow2\", \"file\": {\"driver\": "
	       "\"file\", \"filename\": \"/x/top\"}}", "/x/top");
	called("json:{\"driver\": \"qcow2\", \"file.filename\": \"/x\"}",
	       "/x");
	called(nbd, nbd);
	called(part, part);
	called("json:", "json:");
	called("json:[1]", "json:[1]");
	called("nbd://host/x", "nbd://host/x");
}

static void what_changes_something(void **state)
{
	static const char *const looks[] = {
		"query-block", "query-anything", "x-blkmon-query-jobs",
		"x-blkmon-node-map", "qmp_capabilities",
	};
	static const char *const changes[] = {
		"block-commit", "quit", "stop", "human-monitor-command",
		"x-debug-query-block-graph", "trace-event-set-state",
		"object-add", "Query-block", "", "block_resize",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++)
		assert_false(far_changes(looks[i]));
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++)
		assert_true(far_changes(changes[i]));
}

/* An image by its file, by the last part of that if it is the only one, and
 * only in the chain that is meant. */
static void images_of_a_chain(void **state)
{
	struct far_names names = {
		.nodes = parse(
			"[{\"node-name\": \"t\", \"file\": \"/x/top\"},"
			"{\"node-name\": \"m\", \"file\": \"/x/base\"},"
			"{\"node-name\": \"b\", \"file\": \"/y/base\"},"
			"{\"node-name\": \"o\", \"file\": \"/x/other\"}]"),
		.links = parse(
			"[{\"node-name\": \"t\", \"backing\": \"m\"},"
			"{\"node-name\": \"m\", \"backing\": \"b\"},"
			"{\"node-name\": \"b\", \"backing\": \"\"}]"),
	};

	(void)state;
	assert_string_equal(far_names_image(&names, "t", "/y/base"), "b");
	assert_string_equal(far_names_image(&names, "t", "top"), "t");
	assert_string_equal(far_names_image(&names, "t", "m"), "m");
	assert_null(far_names_image(&names, "t", "base"));
	assert_null(far_names_image(&names, "t", "other"));
	assert_null(far_names_image(&names, "t", "/x/other"));
	assert_null(far_names_image(&names, "", "top"));
	far_names_release(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_drives),
		cmocka_unit_test(managed_nodes),
		cmocka_unit_test(jobs_as_shown),
		cmocka_unit_test(links_of_children),
		cmocka_unit_test(links_of_files),
		cmocka_unit_test(names_of_files),
		cmocka_unit_test(what_changes_something),
		cmocka_unit_test(images_of_a_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
