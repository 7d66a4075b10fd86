/* Names and numbers of terminals; what no test machine has is in the table, too. */
#include "cleanup.h"
#include "leak.h"
#include "tty.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

static void test_names(void **state)
{
	static const struct {
		unsigned major, minor;
		const char *name; /* NULL: none */
	} cases[] = {
		{ 136, 0, "/dev/pts/0" },
		{ 136, 256, "/dev/pts/256" },
		{ 136, 1048575, "/dev/pts/1048575" },
		{ 4, 0, "/dev/tty0" },
		{ 4, 1, "/dev/tty1" },
		{ 4, 63, "/dev/tty63" },
		{ 4, 64, "/dev/ttyS0" },
		{ 4, 255, "/dev/ttyS191" },
		{ 5, 1, "/dev/console" },
		{ 229, 0, "/dev/hvc0" },
		{ 204, 64, "/dev/ttyAMA0" },
		{ 204, 79, "/dev/ttyAMA15" },
		{ 188, 3, "/dev/ttyUSB3" },
		{ 166, 3, "/dev/ttyACM3" },
		{ 5, 0, NULL },	   /* /dev/tty */
		{ 5, 2, NULL },	   /* /dev/ptmx */
		{ 4, 256, NULL },  /* nothing */
		{ 204, 63, NULL }, /* another driver's */
		{ 204, 80, NULL },
		{ 128, 0, NULL }, /* a master */
		{ 1, 3, NULL },	  /* /dev/null */
		{ 0, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char name[TTY_NAME_SIZE] = "untouched";
		dev_t device = makedev(cases[i].major, cases[i].minor);

		print_message("case: %u:%u\n", cases[i].major, cases[i].minor);
		assert_int_equal(tty_name(device, name), cases[i].name ? 0 : -ENOTTY);
		assert_string_equal(name, cases[i].name ? cases[i].name : "untouched");
	}
}

/* As the kernel composes them: eight bits, twelve of the major number, twelve more. */
static void test_device(void **state)
{
	static const struct {
		unsigned number, major, minor;
	} cases[] = {
		{ 0x00000401, 4, 1 },	  { 0x00008800, 136, 0 },	{ 0x000088ff, 136, 255 },
		{ 0x00108800, 136, 256 }, { 0xfff088ff, 136, 1048575 }, { 0x00000440, 4, 64 },
		{ 0x000fff00, 0xfff, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_true(tty_device(cases[i].number) == makedev(cases[i].major, cases[i].minor));
}

static void test_number(void **state)
{
	cleanup_fd int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	cleanup_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char name[TTY_NAME_SIZE];
	unsigned number = 7;
	struct stat info;

	(void)state;
	assert_true(master >= 0);
	assert_int_equal(unlockpt(master), 0);
	assert_int_equal(ptsname_r(master, name, sizeof(name)), 0);
	cleanup_fd int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(slave >= 0);
	assert_int_equal(tty_number(null, &number), -ENOTTY);
	assert_int_equal(number, 7);
	assert_int_equal(tty_number(slave, &number), 0);
	assert_int_equal(fstat(slave, &info), 0);
	assert_true(tty_device(number) == info.st_rdev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, leak_setup, leak_teardown)
		TEST(test_names),
		TEST(test_device),
		TEST(test_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
