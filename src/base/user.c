#include "base/user.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

/*
 * Of what root may do, only this stays: to read any file. A plain container has no
 * CAP_DAC_READ_SEARCH; there it is CAP_DAC_OVERRIDE, which includes it. 0, or -1 with errno.
 */
static int keep_reading(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct caps[2];
	unsigned may;

	if (syscall(SYS_capget, &head, caps) == -1)
		return -1;
	may = caps[0].permitted & 1U << CAP_DAC_READ_SEARCH;
	if (may == 0)
		may = caps[0].permitted & 1U << CAP_DAC_OVERRIDE;
	memset(caps, 0, sizeof caps);
	caps[0].permitted = caps[0].effective = may;
	return (int)syscall(SYS_capset, &head, caps);
}

int user_become_owner(const char *path, bool reads_all, struct err *e)
{
	const struct passwd *user;
	struct stat st;
	int rc;

	if (geteuid() != 0 || stat(path, &st) == -1 || st.st_uid == 0)
		return 0;
	user = getpwuid(st.st_uid);
	/* An owner without a name has no groups except that of the file. */
	rc = user ? initgroups(user->pw_name, user->pw_gid) : setgroups(0, NULL);
	if (rc == -1 || setgid(user ? user->pw_gid : st.st_gid) == -1 ||
	    prctl(PR_SET_KEEPCAPS, reads_all) == -1 || setuid(st.st_uid) == -1 ||
	    geteuid() == 0 || (reads_all && keep_reading() == -1))
		return err_set(
		    e, ERR_FATAL, ERR_LOCAL,
		    "%s belongs to user id %lu, and root cannot become that user: %s; "
		    "run learnspool as that user",
		    path, (unsigned long)st.st_uid, strerror(errno));
	log_info("user id=%lu name=%s: working as the owner of %s", (unsigned long)st.st_uid,
		 user ? user->pw_name : "-", path);
	return 0;
}
