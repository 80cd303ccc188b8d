/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File systems that a log cannot be written on. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "store/place.h"

#include "base/text.h"

#define FUSE_MAGIC 0x65735546

static const long remote_magic[] = {
	0x6969,     /* NFS */
	0x517b,     /* SMB */
	0xff534d42, /* CIFS */
	0xfe534d42, /* SMB2 */
	0x5346414f, /* AFS */
	0x6b414653, /* kAFS */
	0x73757245, /* Coda */
	0x564c,     /* NCP */
	0x00c36400, /* Ceph */
	0x0bd00bd0, /* Lustre */
	0x01161970, /* GFS2 */
	0x7461636f  /* OCFS2 */
};

static const char *const remote_fuse[] = { "fuse.sshfs", "fuse.glusterfs",
	"fuse.ceph", "fuse.ceph-fuse", "fuse.s3fs", "fuse.rclone", "fuse.davfs",
	"fuse.davfs2", "fuse.curlftpfs", "fuse.gvfsd-fuse", "fuse.smbnetfs",
	"fuse.gcsfuse", "fuse.juicefs", "fuse.moosefs", "fuse.mfs" };

bool
place_fs_is_remote(long magic, const char *fuse_type)
{
	size_t i;

	for (i = 0; i < sizeof(remote_magic) / sizeof(remote_magic[0]); i++)
		if ((uint32_t)magic == (uint32_t)remote_magic[i])
			return true;
	for (i = 0; i < sizeof(remote_fuse) / sizeof(remote_fuse[0]); i++)
		if (fuse_type != NULL && strcmp(fuse_type, remote_fuse[i]) == 0)
			return true;
	return false;
}

/* proc_pid_mountinfo(5): the third field is major:minor, and the type comes
 * after the field "-" */
static bool
mount_type(const char *line, dev_t dev, char *type, size_t size)
{
	unsigned int major_, minor_;
	const char *dash;
	size_t n;

	if (sscanf(line, "%*u %*u %u:%u", &major_, &minor_) != 2 ||
		major_ != major(dev) || minor_ != minor(dev))
		return false;
	dash = strstr(line, " - ");
	if (dash == NULL)
		return false;
	n = strcspn(dash + 3, " \n");
	if (n >= size)
		n = size - 1;
	memcpy(type, dash + 3, n);
	type[n] = '\0';
	return true;
}

static void
find_fuse_type(dev_t dev, char *type, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0;

	type[0] = '\0';
	if (f == NULL)
		return;
	while (getline(&line, &cap, f) >= 0)
		if (mount_type(line, dev, type, size))
			break;
	free(line);
	fclose(f);
}

int
place_check_fs(const struct place *p, struct ofs_error *e)
{
	char type[64] = "";
	struct statfs fs;
	struct stat st;

	if (statfs(p->dir, &fs) != 0 || stat(p->dir, &st) != 0)
		return err_sys(e, OFS_EAUDIT, errno,
			"cannot look at the file system of '%s'",
			TEXT_Q(p->dir));
	if (fs.f_type == FUSE_MAGIC)
		find_fuse_type(st.st_dev, type, sizeof(type));
	if (place_fs_is_remote((long)fs.f_type, type))
		return err_set(e, OFS_EAUDIT,
			"cannot write audit log '%s': it is on a network file "
			"system, which does not keep locks and syncs; put it "
			"on a local disk",
			TEXT_Q(p->dir));
	return 0;
}
