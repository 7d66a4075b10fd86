/* PAM service files: read as libpam reads them, in a directory of the test's own. */
#include "cleanup.h"
#include "leak.h"
#include "must.h"
#include "stack.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ERROR_SIZE 512

static char directory[] = "/tmp/test_stack.XXXXXX";
static char path_of[256];

static const char *in_directory(const char *name)
{
	(void)snprintf(path_of, sizeof(path_of), "%s/%s", directory, name);
	return path_of;
}

/* Writes a file; each %D in the text is the directory. */
static void put(const char *name, const char *text)
{
	FILE *file = fopen(in_directory(name), "we");

	assert_non_null(file);
	for (const char *c = text; *c != '\0'; c++) {
		if (c[0] == '%' && c[1] == 'D') {
			assert_true(fputs(directory, file) >= 0);
			c++;
		} else {
			assert_true(fputc(*c, file) != EOF);
		}
	}
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	return leak_setup(state);
}

static int teardown(void **state)
{
	static const char *const names[] = { "svc", "common", "a", "b", "c", "sub" };
	int result = leak_teardown(state);

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unlink(in_directory(names[i])); /* not every test makes every file */
	return rmdir(directory) == 0 ? result : -1;
}

static void test_reads_as_libpam(void **state)
{
	static const struct {
		const char *path;
		unsigned line;
		bool optional;
	} expected[] = {
		{ "pam_env.so", 3, false },
		{ "pam_unix.so", 4, false },
		{ "/lib/security/$ISA/pam_a.so", 5, false },
		{ "pam_late.so", 6, false },
		{ "pam_systemd.so", 12, true },
		{ "pam_hash.so", 13, false },
		{ "pam_last.so", 15, false },
	};
	char error[ERROR_SIZE];
	struct stack stack;

	(void)state;
	put("svc", "#%PAM-1.0\n"
		   "\n"
		   "auth required pam_env.so\n"
		   "auth\t[success=1 default=ignore]\tpam_unix.so nullok\n"
		   " AUTH Required /lib/security/$ISA/pam_a.so [a=b c\\] d] x\n"
		   "account required \\\n"
		   "   # a comment between does not end it\n"
		   "\n"
		   "        pam_late.so \\\n"
		   "        debug\n"
		   "   # a comment\n"
		   "-session optional pam_systemd.so\n"
		   "session required pam_hash.so # no more \\\n"
		   "\n"
		   "password sufficient pam_last.so");
	assert_int_equal(stack_read("svc", directory, &stack, error, sizeof(error)), 0);
	assert_int_equal(stack.count, ARRAY_LEN(expected));
	for (size_t i = 0; i < stack.count; i++) {
		assert_string_equal(stack.modules[i].path, expected[i].path);
		assert_int_equal(stack.modules[i].line, expected[i].line);
		assert_int_equal(stack.modules[i].optional, expected[i].optional);
		assert_string_equal(stack.modules[i].file, in_directory("svc"));
	}
	assert_int_equal(stack.file_count, 1);
	assert_null(stack.files[1]);
	assert_ptr_equal(stack_find(&stack, "pam_a.so", NULL), &stack.modules[2]);
	assert_null(stack_find(&stack, "pam_loginuid.so", NULL));
	assert_null(stack_find(&stack, "a.so", NULL));
	stack_done(&stack);
	stack_done(&stack);
}

/* Whole words, in brackets or not, of any line that names the module. */
static void test_arguments(void **state)
{
	char error[ERROR_SIZE];
	struct stack stack;

	(void)state;
	put("svc", "auth required pam_a.so one\n"
		   "auth required pam_a.so debug use_uid\\\n uid = 0\n"
		   "auth required pam_b.so [use_uid] x # late\n"
		   "auth required pam_c.so not_use_uid use_uid_not [use_uid x]\n"
		   "auth required pam_d.so\n");
	assert_int_equal(stack_read("svc", directory, &stack, error, sizeof(error)), 0);
	assert_ptr_equal(stack_find(&stack, "pam_a.so", NULL), &stack.modules[0]);
	assert_ptr_equal(stack_find(&stack, "pam_a.so", "one"), &stack.modules[0]);
	assert_ptr_equal(stack_find(&stack, "pam_a.so", "use_uid"), &stack.modules[1]);
	assert_ptr_equal(stack_find(&stack, "pam_a.so", "0"), &stack.modules[1]);
	assert_ptr_equal(stack_find(&stack, "pam_b.so", "use_uid"), &stack.modules[2]);
	assert_null(stack_find(&stack, "pam_b.so", "late"));
	assert_null(stack_find(&stack, "pam_c.so", "use_uid"));
	assert_null(stack_find(&stack, "pam_d.so", "use_uid"));
	stack_done(&stack);
}

static void test_includes(void **state)
{
	char error[ERROR_SIZE];
	struct stack stack;

	(void)state;
	put("svc", "auth include %D/common\n"
		   "account substack %D/common\n"
		   "@include %D/sub\n"
		   "session required pam_s.so\n");
	put("common", "auth required pam_1.so\n"
		      "session required pam_never.so\n"
		      "account required pam_2.so\n"
		      "@include %D/a\n");
	put("a", "auth required pam_3.so\naccount required pam_4.so\n");
	put("sub", "password required pam_5.so\n");
	assert_int_equal(stack_read("SVC", directory, &stack, error, sizeof(error)), 0);
	assert_int_equal(stack.count, 6);
	assert_string_equal(stack.modules[0].path, "pam_1.so");
	assert_string_equal(stack.modules[1].path, "pam_3.so");
	assert_string_equal(stack.modules[2].path, "pam_2.so");
	assert_string_equal(stack.modules[3].path, "pam_4.so");
	assert_string_equal(stack.modules[4].path, "pam_5.so");
	assert_string_equal(stack.modules[5].path, "pam_s.so");
	assert_null(stack_find(&stack, "pam_never.so", NULL));
	assert_int_equal(stack.file_count, 4);
	assert_string_equal(stack.files[2], in_directory("a"));
	stack_done(&stack);
}

static void test_refuses_malformed(void **state)
{
	static const struct {
		const char *text;
		const char *error; /* after the directory */
	} cases[] = {
		{ "authh required pam_a.so\n", "/svc:1: \"authh\" is no type" },
		{ "\n--auth required pam_a.so\n", "/svc:2: \"--auth\" is no type" },
		{ "auth\n", "/svc:1: the control" },
		{ "auth must pam_a.so\n", "/svc:1: \"must\" is no control" },
		{ "auth [default=die pam_a.so\n", "is no control" },
		{ "auth [default=die # ] pam_a.so\n", "is no control" },
		{ "auth required\n", "/svc:1: the module" },
		{ "auth include\n", "/svc:1: the file to include" },
		{ "@include\n", "/svc:1: the file to include" },
		{ "auth required pam_a.so \\\n", "/svc:1: the file ends" },
		{ "auth required pam_a.so \\\n# x\n\n", "/svc:1: the file ends" },
		{ "\n@include %D/c\n", "/svc:2: cannot read " },
		{ "@include %D\n", "/svc:1: cannot read " },
		{ "@include surely-no-such-service\n",
		  "/svc:1: cannot read /etc/pam.d/surely-no-such-service: No such file" },
		{ "auth include %D/svc\n", "/svc includes itself" },
		{ "@include %D/a\n", "/a includes itself" },
	};

	(void)state;
	put("a", "session required pam_1.so\nauth include %D/b\n");
	put("b", "@include %D/a\n");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char error[ERROR_SIZE] = "";
		struct stack stack;

		put("svc", cases[i].text);
		assert_int_equal(stack_read("svc", directory, &stack, error, sizeof(error)),
				 -EINVAL);
		print_message("%s\n", error);
		assert_non_null(strstr(error, cases[i].error));
	}
}

/* 16 levels, each including the next twice, would be 65536 visits. */
static void test_bounds(void **state)
{
	char error[ERROR_SIZE] = "";
	struct stack stack;
	char names[20][8];

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		char text[128];

		(void)snprintf(names[i], sizeof(names[i]), "n%u", i);
		(void)snprintf(text, sizeof(text), "@include %%D/n%u\n@include %%D/n%u\n", i + 1,
			       i + 1);
		put(names[i], i + 1 < 12 ? text : "");
	}
	assert_int_equal(stack_read("n0", directory, &stack, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "too many files"));
	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		char text[128];

		(void)snprintf(text, sizeof(text), "@include %%D/n%u\n", i + 1);
		put(names[i], i + 1 < ARRAY_LEN(names) ? text : "");
	}
	assert_int_equal(stack_read("n0", directory, &stack, error, sizeof(error)), -EINVAL);
	assert_non_null(strstr(error, "too many files"));
	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(unlink(in_directory(names[i])), 0);
}

static void test_service_names(void **state)
{
	static const char *const names[] = {
		"", ".", "..", "../svc", "/etc/pam.d/other", "no-such"
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char error[ERROR_SIZE] = "";
		struct stack stack;

		assert_int_equal(stack_read(names[i], directory, &stack, error, sizeof(error)),
				 -EINVAL);
		assert_non_null(strstr(error, names[i]));
	}
}

static void test_check_loaded(void **state)
{
	char error[ERROR_SIZE] = "";
	struct stack stack;

	(void)state;
	/* libc stands for a module: an object that every test has loaded */
	put("svc", "auth required libc.so.6\n"
		   "-auth required pam_not_there.so\n"
		   "auth required /lib/$ISA/libc.so.6\n");
	assert_int_equal(stack_read("svc", directory, &stack, error, sizeof(error)), 0);
	assert_int_equal(stack_check_loaded(&stack, error, sizeof(error)), 0);
	stack_done(&stack);

	put("svc", "auth required libc.so.6\nauth required pam_not_there.so\n");
	assert_int_equal(stack_read("svc", directory, &stack, error, sizeof(error)), 0);
	assert_int_equal(stack_check_loaded(&stack, error, sizeof(error)), -ENOENT);
	assert_non_null(strstr(error, "/svc:2: pam_not_there.so cannot be loaded"));
	stack_done(&stack);

	put("svc", "auth required /nowhere/libc.so.6\n");
	assert_int_equal(stack_read("svc", directory, &stack, error, sizeof(error)), 0);
	assert_int_equal(stack_check_loaded(&stack, error, sizeof(error)), -ENOENT);
	stack_done(&stack);
}

/* The services of this machine are well-formed, and are found where libpam finds them. */
static void test_system_service(void **state)
{
	char error[ERROR_SIZE] = "";
	struct stack stack;

	(void)state;
	if (access("/etc/pam.d/su", R_OK) < 0)
		SKIP("there is no /etc/pam.d/su");
	assert_int_equal(stack_read("su", NULL, &stack, error, sizeof(error)), 0);
	assert_true(stack.count > 0);
	assert_string_equal(stack.files[0], "/etc/pam.d/su");
	assert_non_null(stack_find(&stack, "pam_unix.so", NULL));
	stack_done(&stack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_reads_as_libpam),   TEST(test_arguments),	 TEST(test_includes),
		TEST(test_refuses_malformed), TEST(test_bounds),	 TEST(test_service_names),
		TEST(test_check_loaded),      TEST(test_system_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
