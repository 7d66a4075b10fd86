/*
 * capability - capget(2) and capset(2), with 64 bits in one piece.
 */
#include "capability.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

int capability_read(struct capability_sets *ret)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (syscall(SYS_capget, &head, data))
		return -errno;
	*ret = (struct capability_sets){
		.effective = (uint64_t)data[1].effective << 32 | data[0].effective,
		.permitted = (uint64_t)data[1].permitted << 32 | data[0].permitted,
		.inheritable = (uint64_t)data[1].inheritable << 32 | data[0].inheritable,
	};
	return 0;
}

int capability_write(const struct capability_sets *sets)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct capability_sets now;
	int r;

	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i] = (struct __user_cap_data_struct){
			.effective = (uint32_t)(sets->effective >> 32 * i),
			.permitted = (uint32_t)(sets->permitted >> 32 * i),
			.inheritable = (uint32_t)(sets->inheritable >> 32 * i),
		};
	if (syscall(SYS_capset, &head, data))
		return -errno;
	r = capability_read(&now);
	if (r)
		return r;
	return now.effective == sets->effective && now.permitted == sets->permitted &&
			       now.inheritable == sets->inheritable
		       ? 0
		       : -EPERM;
}
