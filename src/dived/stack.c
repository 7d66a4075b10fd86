/*
 * Walks a PAM service and the files it includes, line by line as libpam does.
 *
 * The model is _pam_parse_config_file() of Linux-PAM 1.5.2 with Debian's @include.  Where
 * that version is lenient (it turns a malformed line into a module that always fails) this
 * is an error, because the gateway would refuse everyone.  Three of its habits matter: a
 * `#` ends a line wherever it stands, also inside brackets and before a backslash; blank
 * and comment lines do not end a continued line; and an include asks for one type of
 * module only, so that other lines of the included file do not count.
 *
 * `other` is not read: a service that leaves a type to it falls under its rules, but names
 * nothing itself.
 */
#include "stack.h"

#include "cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define FILES_MAX   64
#define LEVELS_MAX  16
#define VISITS_MAX  512 /* a file may be visited once for each type, and by each of many */
#define MODULES_MAX 4096
#define FILE_MAX    (1024 * 1024)
#define BLANKS	    " \n\t"

static const char *const system_directories[] = { "/etc/pam.d", "/usr/lib/pam.d" };
static const char *const types[] = { "auth", "account", "password", "session" };
static const char *const controls[] = { "required", "requisite", "sufficient", "optional" };

/* One walk; what is being read is chained through the stack of the recursion. */
struct walk {
	struct stack stack;
	unsigned visits;
	char *error;
	size_t error_size;
};

struct place {
	const struct place *includer; /* NULL for the service itself */
	const char *file;
	unsigned line;
	unsigned level;
	const char *type; /* entry of types[] that counts here; NULL for all */
};

__attribute__((format(printf, 3, 4))) static int stack_fail(const struct walk *walk,
							    const struct place *place,
							    const char *format, ...)
{
	va_list arguments;
	int len = 0;

	if (place != NULL)
		len = snprintf(walk->error, walk->error_size, "%s:%u: ", place->file, place->line);
	if (len >= 0 && (size_t)len < walk->error_size) {
		va_start(arguments, format);
		(void)vsnprintf(walk->error + len, walk->error_size - (size_t)len, format,
				arguments);
		va_end(arguments);
	}
	return -EINVAL;
}

static const char *word_find(const char *const *words, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++) {
		if (strcasecmp(words[i], word) == 0)
			return words[i];
	}
	return NULL;
}

/*
 * Cuts the next word off *rest, as _pam_StrTok() does: a word that begins with '[' reaches
 * to the next ']' not preceded by a backslash.  NULL at the end.
 */
static char *word_next(char **rest)
{
	char *word = *rest + strspn(*rest, BLANKS);
	char *end = word;

	if (*word == '\0')
		return NULL;
	if (*word == '[') {
		while (*end != '\0' && *end != ']')
			end += end[0] == '\\' && end[1] == ']' ? 2 : 1;
		if (*end != '\0')
			end++; /* the bracket is kept: an open one can be told */
	} else {
		end += strcspn(word, BLANKS);
	}
	*rest = *end == '\0' ? end : end + 1;
	*end = '\0';
	return word;
}

/* Return: 0; -errno.  A service file is small; nothing else than a file is read. */
static int file_read(const char *path, char **ret)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	cleanup_free char *text = NULL;
	struct stat status;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	if (status.st_size > FILE_MAX)
		return -EFBIG;
	text = malloc((size_t)status.st_size + 1);
	if (text == NULL)
		return -ENOMEM;
	while (len < (size_t)status.st_size) {
		ssize_t got = read(fd, text + len, (size_t)status.st_size - len);

		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		len += (size_t)got;
	}
	text[len] = '\0';
	*ret = take_ptr(text);
	return 0;
}

/* The path libpam would open, or try first where there is none.  Return: 0; -ENOMEM. */
static int file_find(const char *name, const char *directory, char **ret)
{
	cleanup_free char *first = NULL;

	if (name[0] == '/') {
		*ret = strdup(name);
		return *ret == NULL ? -ENOMEM : 0;
	}
	if (directory != NULL)
		return asprintf(ret, "%s/%s", directory, name) < 0 ? -ENOMEM : 0;
	for (size_t i = 0; i < ARRAY_LEN(system_directories); i++) {
		cleanup_free char *path = NULL;

		if (asprintf(&path, "%s/%s", system_directories[i], name) < 0)
			return -ENOMEM;
		if (access(path, F_OK) == 0) {
			*ret = take_ptr(path);
			return 0;
		}
		if (first == NULL)
			first = take_ptr(path);
	}
	*ret = take_ptr(first);
	return 0; /* opening it will say what is wrong */
}

/* Notes a file once.  Return: 0; -EINVAL; -ENOMEM. */
static int stack_add_file(struct walk *walk, const char *path, const struct place *includer)
{
	struct stack *stack = &walk->stack;
	cleanup_free char *copy = strdup(path);
	char **files;

	for (size_t i = 0; i < stack->file_count; i++) {
		if (strcmp(stack->files[i], path) == 0)
			return 0;
	}
	if (stack->file_count == FILES_MAX)
		return stack_fail(walk, includer, "more than %d files", FILES_MAX);
	files = reallocarray(stack->files, stack->file_count + 2, sizeof(*files));
	if (files == NULL)
		return -ENOMEM;
	stack->files = files;
	if (copy == NULL)
		return -ENOMEM;
	files[stack->file_count++] = take_ptr(copy);
	files[stack->file_count] = NULL;
	return 0;
}

static int stack_add_module(struct walk *walk, const struct place *place, const char *path,
			    const char *arguments, bool optional)
{
	struct stack *stack = &walk->stack;
	cleanup_free char *path_copy = strdup(path);
	cleanup_free char *arguments_copy = strdup(arguments);
	cleanup_free char *file_copy = strdup(place->file);
	struct stack_module *modules;

	if (stack->count == MODULES_MAX)
		return stack_fail(walk, place, "more than %d modules", MODULES_MAX);
	modules = reallocarray(stack->modules, stack->count + 1, sizeof(*modules));
	if (modules == NULL)
		return -ENOMEM;
	stack->modules = modules;
	if (path_copy == NULL || arguments_copy == NULL || file_copy == NULL)
		return -ENOMEM;
	modules[stack->count++] = (struct stack_module){
		.path = take_ptr(path_copy),
		.arguments = take_ptr(arguments_copy),
		.file = take_ptr(file_copy),
		.line = place->line,
		.optional = optional,
	};
	return 0;
}

static int stack_read_file(struct walk *walk, const char *path, const struct place *includer,
			   const char *type);

/* Included names are looked up in the system's directories, also with a confdir. */
static int stack_include(struct walk *walk, const struct place *place, const char *name,
			 const char *type)
{
	cleanup_free char *path = NULL;
	int error;

	if (name == NULL)
		return stack_fail(walk, place, "the file to include is missing");
	error = file_find(name, NULL, &path);
	return error < 0 ? error : stack_read_file(walk, path, place, type);
}

static bool control_is_bracketed(const char *control)
{
	size_t len = strlen(control);

	return len >= 2 && control[0] == '[' && control[len - 1] == ']';
}

/* A logical line: type, control, path, arguments.  Written over. */
static int stack_read_line(struct walk *walk, const struct place *place, char *line)
{
	char *type_word = word_next(&line);
	bool optional = type_word != NULL && type_word[0] == '-';
	const char *type, *control, *path;

	if (type_word == NULL)
		return 0;
	if (strcmp(type_word, "@include") == 0)
		return stack_include(walk, place, word_next(&line), place->type);
	type = word_find(types, ARRAY_LEN(types), type_word + (optional ? 1 : 0));
	if (type == NULL)
		return stack_fail(walk, place, "\"%s\" is no type of module", type_word);
	if (place->type != NULL && place->type != type)
		return 0;
	control = word_next(&line);
	if (control == NULL)
		return stack_fail(walk, place, "the control is missing");
	if (strcasecmp(control, "include") == 0 || strcasecmp(control, "substack") == 0)
		return stack_include(walk, place, word_next(&line), type);
	if (word_find(controls, ARRAY_LEN(controls), control) == NULL &&
	    !control_is_bracketed(control))
		return stack_fail(walk, place, "\"%s\" is no control", control);
	path = word_next(&line);
	if (path == NULL)
		return stack_fail(walk, place, "the module is missing");
	return stack_add_module(walk, place, path, line, optional);
}

/*
 * Trims one physical line in place.  Returns whether the logical line goes on, which a
 * line with nothing on it leaves as it was.
 */
static bool line_trim(char **line, bool continued)
{
	size_t len;

	(*line)[strcspn(*line, "#")] = '\0';
	*line += strspn(*line, BLANKS);
	len = strlen(*line);
	while (len > 0 && strchr(BLANKS, (*line)[len - 1]) != NULL)
		len--;
	(*line)[len] = '\0';
	if (len == 0)
		return continued;
	if ((*line)[len - 1] != '\\')
		return false;
	(*line)[len - 1] = ' ';
	return true;
}

/* Joins continued lines into `logical`, which has room for the whole text. */
static int stack_read_text(struct walk *walk, struct place *place, char *text, char *logical)
{
	bool continued = false;
	size_t len = 0;
	unsigned number = 0;

	while (text != NULL && *text != '\0') {
		char *line = strsep(&text, "\n");
		int error;

		number++;
		if (!continued)
			place->line = number;
		continued = line_trim(&line, continued);
		memcpy(logical + len, line, strlen(line) + 1);
		len += strlen(line);
		if (continued)
			continue;
		error = stack_read_line(walk, place, logical);
		if (error < 0)
			return error;
		len = 0;
	}
	return continued ? stack_fail(walk, place, "the file ends in a continued line") : 0;
}

static int stack_read_file(struct walk *walk, const char *path, const struct place *includer,
			   const char *type)
{
	struct place place = { .includer = includer, .file = path, .type = type };
	cleanup_free char *text = NULL;
	cleanup_free char *logical = NULL;
	int error;

	for (const struct place *p = includer; p != NULL; p = p->includer) {
		if (strcmp(p->file, path) == 0)
			return stack_fail(walk, includer, "%s includes itself", path);
	}
	place.level = includer == NULL ? 0 : includer->level + 1;
	if (place.level > LEVELS_MAX || ++walk->visits > VISITS_MAX)
		return stack_fail(walk, includer, "too many files include one another");
	error = file_read(path, &text);
	if (error == -ENOMEM)
		return error;
	if (error < 0)
		return stack_fail(walk, includer, "cannot read %s: %s", path, strerror(-error));
	logical = malloc(strlen(text) + 1);
	if (logical == NULL)
		return -ENOMEM;
	error = stack_add_file(walk, path, includer);
	return error < 0 ? error : stack_read_text(walk, &place, text, logical);
}

int stack_read(const char *service, const char *confdir, struct stack *ret, char *error,
	       size_t error_size)
{
	struct walk walk = { .error = error, .error_size = error_size };
	cleanup_free char *name = strdup(service);
	cleanup_free char *path = NULL;
	int result;

	if (name == NULL)
		return -ENOMEM;
	if (name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, "..") == 0 ||
	    strcmp(name, ".") == 0)
		return stack_fail(&walk, NULL, "\"%s\" is no name of a PAM service", service);
	for (char *c = name; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c); /* pam_start(3) does */
	result = file_find(name, confdir, &path);
	if (result == 0)
		result = stack_read_file(&walk, path, NULL, NULL);
	if (result < 0) {
		stack_done(&walk.stack);
		return result;
	}
	*ret = walk.stack;
	return 0;
}

void stack_done(struct stack *stack)
{
	for (size_t i = 0; i < stack->count; i++) {
		free(stack->modules[i].path);
		free(stack->modules[i].arguments);
		free(stack->modules[i].file);
	}
	for (size_t i = 0; i < stack->file_count; i++)
		free(stack->files[i]);
	free(stack->modules);
	free(stack->files);
	*stack = (struct stack){ 0 };
}

/* A word in brackets is the module's without them.  Without memory the answer is yes. */
static bool module_has(const struct stack_module *module, const char *argument)
{
	cleanup_free char *copy = strdup(module->arguments);
	char *rest = copy;

	for (char *word; rest != NULL && (word = word_next(&rest)) != NULL;) {
		size_t len = strlen(word);

		if (word[0] == '[' && word[len - 1] == ']') {
			word[len - 1] = '\0';
			word++;
		}
		if (strcmp(word, argument) == 0)
			return true;
	}
	return copy == NULL;
}

const struct stack_module *stack_find(const struct stack *stack, const char *name,
				      const char *argument)
{
	for (size_t i = 0; i < stack->count; i++) {
		const struct stack_module *module = &stack->modules[i];

		if (strcmp(basename(module->path), name) == 0 &&
		    (argument == NULL || module_has(module, argument)))
			return module;
	}
	return NULL;
}

/* What loaded_visit() looks for, and what it found. */
struct wanted {
	const char *path;
	bool loaded;
};

/*
 * A relative path is one in libpam's own directory, and $ISA stands for a part of one, so
 * the file name decides; with an absolute path it must be the same file.
 */
static int loaded_visit(struct dl_phdr_info *info, size_t size, void *context)
{
	struct wanted *wanted = context;
	struct stat theirs, ours;

	(void)size; /* only fields that have always been there are read */
	if (info->dlpi_name == NULL ||
	    strcmp(basename(info->dlpi_name), basename(wanted->path)) != 0)
		return 0;
	if (wanted->path[0] == '/' && strstr(wanted->path, "$ISA") == NULL &&
	    (stat(wanted->path, &theirs) < 0 || stat(info->dlpi_name, &ours) < 0 ||
	     theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino))
		return 0;
	wanted->loaded = true;
	return 1;
}

int stack_check_loaded(const struct stack *stack, char *error, size_t error_size)
{
	for (size_t i = 0; i < stack->count; i++) {
		const struct stack_module *module = &stack->modules[i];
		struct wanted wanted = { .path = module->path };

		if (module->optional)
			continue;
		(void)dl_iterate_phdr(loaded_visit, &wanted); /* the answer is in `wanted` */
		if (wanted.loaded)
			continue;
		(void)snprintf(error, error_size, "%s:%u: %s cannot be loaded", module->file,
			       module->line, module->path);
		return -ENOENT;
	}
	return 0;
}
