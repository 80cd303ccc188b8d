/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An audit key in a file: PKCS#8 PEM that only its owner reads. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "audit/auditkey.h"
#include "audit/keyfile.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

#define FILE_MAX 4096
#define BESIDE ".audit-key" /* behind the log's directory */

static int
unusable(const char *path, const char *why, struct ofs_error *e)
{
	return err_set(e, OFS_EKEY, "cannot use audit key '%s': %s",
		TEXT_Q(path), why);
}

/* who copies the log must not get the key with it */
static int
check_outside(const struct place *p, const char *path, struct ofs_error *e)
{
	char *dir, *real = NULL;
	size_t n;
	int rc = 0;

	if (p == NULL)
		return 0;
	dir = file_dirname(path);
	if (dir == NULL)
		return err_nomem(e);
	n = strlen(p->dir);
	real = realpath(dir, NULL);
	if (real == NULL)
		rc = err_sys(e, OFS_EKEY, errno, "cannot use audit key '%s'",
			TEXT_Q(path));
	else if (strncmp(real, p->dir, n) == 0 &&
		(real[n] == '\0' || real[n] == '/'))
		rc = unusable(path,
			"it lies in the log's directory; keep it elsewhere", e);
	free(real);
	free(dir);
	return rc;
}

int
auditkey_path(const struct place *p, const char *place, char **out,
	struct ofs_error *e)
{
	struct buf beside = BUF_INIT;
	size_t n;
	int rc = 0;

	*out = NULL;
	if (strcmp(place, "file") == 0) {
		buf_printf(&beside, "%s" BESIDE, p->dir);
		if (buf_cstr(&beside) == NULL)
			rc = err_nomem(e);
		else
			*out = (char *)buf_take(&beside, &n);
		buf_free(&beside);
		return rc;
	}
	if (strncmp(place, "file:", 5) != 0 || place[5] == '\0')
		return err_set(e, OFS_EINVAL,
			"place of an audit key is 'file' or 'file:PATH', and "
			"not '%s'",
			TEXT_Q(place));
	return file_absolute(place + 5, out, e);
}

/* OFS_EEXIST: another one made it meanwhile */
static int
generate(const char *path, EVP_PKEY **out, struct ofs_error *e)
{
	/* what OpenSSL has of it in memory is wiped when it is freed */
	BIO *pem = BIO_new(BIO_s_secmem());
	char *p;
	long n;
	int rc;

	*out = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (pem == NULL || *out == NULL ||
		PEM_write_bio_PKCS8PrivateKey(
			pem, *out, NULL, NULL, 0, NULL, NULL) != 1) {
		rc = err_ssl(e, OFS_EINTERNAL, "cannot make an audit key");
	} else {
		n = BIO_get_mem_data(pem, &p);
		rc = keyfile_write(
			path, NULL, "write audit key", p, (size_t)n, e);
	}
	BIO_free(pem);
	if (rc != 0) {
		EVP_PKEY_free(*out);
		*out = NULL;
	}
	return rc;
}

/* never asks: a key under a passphrase is not one that signs by itself */
static int
no_passphrase(char *to, int size, int writing, void *arg)
{
	(void)to;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int
read_key(int fd, const char *path, EVP_PKEY **out, struct ofs_error *e)
{
	char *pem = mem_secret_new(FILE_MAX);
	BIO *bio = NULL;
	ssize_t n;
	int rc = 0;

	if (pem == NULL)
		return err_nomem(e);
	n = read(fd, pem, FILE_MAX);
	if (n < 0)
		rc = err_sys(e, OFS_EIO, errno, "cannot read audit key '%s'",
			TEXT_Q(path));
	else if (n == 0 || n == FILE_MAX)
		rc = unusable(path, "it holds no key", e);
	else if ((bio = BIO_new_mem_buf(pem, (int)n)) == NULL)
		rc = err_nomem(e);
	if (rc == 0)
		*out = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (rc == 0 && *out == NULL) {
		(void)err_ssl(e, OFS_EKEY, "cannot read");
		rc = unusable(path, "it holds no PEM private key", e);
	}
	BIO_free(bio);
	mem_secret_free(pem, FILE_MAX);
	return rc;
}

static int
check_mode(int fd, const char *path, struct ofs_error *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return err_sys(
			e, OFS_EIO, errno, "cannot look at '%s'", TEXT_Q(path));
	if (!S_ISREG(st.st_mode))
		return unusable(path, "it is not a regular file", e);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return unusable(path, "it is another user's", e);
	if ((st.st_mode & 077) != 0)
		return unusable(
			path, "others may read it; chmod it to 0600", e);
	return 0;
}

int
auditkey_open_file(const struct place *p, const char *path, bool *made,
	EVP_PKEY **out, struct ofs_error *e)
{
	int fd, rc;

	*out = NULL;
	if (made != NULL)
		*made = false;
	rc = check_outside(p, path, e);
	if (rc != 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT && made != NULL) {
		rc = generate(path, out, e);
		*made = rc == 0;
		if (rc != OFS_EEXIST)
			return rc;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	}
	if (fd < 0)
		return err_sys(e, OFS_EKEY, errno, "cannot read audit key '%s'",
			TEXT_Q(path));
	rc = check_mode(fd, path, e);
	if (rc == 0)
		rc = read_key(fd, path, out, e);
	close(fd);
	if (rc == 0 && note_type_of(*out) == 0) {
		rc = unusable(path, "it is neither Ed25519 nor P-256", e);
		EVP_PKEY_free(*out);
		*out = NULL;
	}
	return rc;
}
