/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The SQLite file: opened, locked down, made and checked. */
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store/store.h"

#define APPLICATION_ID 0x4f46534c /* "OFSL" */
#define FORMAT 1                  /* user_version of a new log */
#define FORMAT_NEWEST STORE_FORMAT_EVIDENCE

#define BUSY_US 60000000 /* how long another process may hold the file */
#define BUSY_STEP_NS 500000

/* as sqlite_schema keeps them: compared byte for byte */
static const char *const schema[] = {
	"CREATE TABLE record (seq INTEGER PRIMARY KEY, header BLOB NOT NULL, "
	"body BLOB, tag BLOB) STRICT",
	"CREATE TABLE tile (level INTEGER NOT NULL, idx INTEGER NOT NULL, "
	"hash BLOB NOT NULL, PRIMARY KEY (level, idx)) STRICT, WITHOUT ROWID",
	"CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 0), "
	"log_id BLOB NOT NULL, size INTEGER NOT NULL, frontier BLOB NOT NULL, "
	"root BLOB NOT NULL) STRICT",
	"CREATE TABLE open_batch (seq INTEGER PRIMARY KEY, "
	"batch_id BLOB NOT NULL UNIQUE) STRICT",
	"CREATE TABLE open_intent (seq INTEGER PRIMARY KEY, "
	"batch_id BLOB NOT NULL) STRICT",
	"CREATE TABLE pending (outcome_seq INTEGER PRIMARY KEY, "
	"batch_id BLOB NOT NULL, path BLOB NOT NULL, "
	"replace INTEGER NOT NULL, output BLOB NOT NULL) STRICT",
	"CREATE TABLE cert (sha256 BLOB PRIMARY KEY, der BLOB NOT NULL) "
	"STRICT, WITHOUT ROWID",
	/* from here on: format 3 */
	"CREATE TABLE batch (opened_seq INTEGER PRIMARY KEY, "
	"batch_id BLOB NOT NULL, root_id BLOB NOT NULL, "
	"list_sha256 BLOB NOT NULL, outputs_sha256 BLOB NOT NULL, "
	"spki_sha256 BLOB NOT NULL, form BLOB NOT NULL, "
	"items INTEGER NOT NULL, closed_seq INTEGER NOT NULL) STRICT",
	"CREATE TABLE batch_item (opened_seq INTEGER NOT NULL, "
	"first INTEGER NOT NULL, n INTEGER NOT NULL, "
	"status INTEGER NOT NULL, seq INTEGER NOT NULL, "
	"PRIMARY KEY (opened_seq, first)) STRICT, WITHOUT ROWID",
	/* from here on: format 4 */
	"CREATE TABLE epoch (epoch INTEGER PRIMARY KEY, "
	"seq INTEGER NOT NULL) STRICT",
	"CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, "
	"note BLOB NOT NULL) STRICT",
	"CREATE TABLE audit_key (seq INTEGER PRIMARY KEY, hint BLOB) STRICT",
	"CREATE TABLE kept_key (batch_id BLOB NOT NULL, "
	"epoch INTEGER NOT NULL, wrap BLOB NOT NULL, "
	"PRIMARY KEY (batch_id, epoch)) STRICT, WITHOUT ROWID",
};

#define N_SCHEMA (sizeof(schema) / sizeof(schema[0]))
#define N_SCHEMA_FIRST 7  /* tables of formats 1 and 2 */
#define N_SCHEMA_TRACKS 9 /* of format 3 */

/* how many tables a log of that format has */
static size_t
tables_of(int64_t format)
{
	if (format < STORE_FORMAT_TRACKS)
		return N_SCHEMA_FIRST;
	return format < STORE_FORMAT_EVIDENCE ? N_SCHEMA_TRACKS : N_SCHEMA;
}

int
store_fail(
	struct store *s, int sqlite_rc, const char *what, struct ofs_error *e)
{
	int code = OFS_EAUDIT;
	const char *why = sqlite3_errstr(sqlite_rc);

	switch (sqlite_rc & 0xff) {
	case SQLITE_NOMEM:
		return err_nomem(e);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
		code = OFS_EDAMAGED;
		s->failed = true;
		break;
	case SQLITE_IOERR:
		s->failed = true;
		break;
	case SQLITE_BUSY:
		why = "another process holds it";
		break;
	case SQLITE_READONLY:
		if (sqlite_rc == SQLITE_READONLY_ROLLBACK)
			why = "a crash left a transaction in its journal, "
			      "which only its owner may roll back; copy "
			      "log.db and log.db-journal together into a "
			      "directory of your own, with modes 0600 and 0700";
		break;
	}
	return err_set(e, code, "cannot %s audit log: %s", what, why);
}

/* short waits: SQLite's own grow to 100 ms, and a commit takes a few */
static int
wait_busy(void *arg, int count)
{
	struct timespec t = { 0, BUSY_STEP_NS };

	(void)arg;
	if ((int64_t)count * (BUSY_STEP_NS / 1000) > BUSY_US)
		return 0;
	nanosleep(&t, NULL);
	return 1;
}

/* these and the functions below return SQLite's codes */
static int
lock_down(struct store *s)
{
	static const char *const common = "PRAGMA trusted_schema = OFF;"
					  "PRAGMA cell_size_check = ON;"
					  "PRAGMA mmap_size = 0;"
					  "PRAGMA temp_store = MEMORY;"
					  "PRAGMA cache_size = -1024;";
	/*
	 * The page size is that of new logs only. Larger pages make reading the
	 * log cheaper, and writing one record and the memory of a batch dearer.
	 */
	static const char *const writing = "PRAGMA page_size = 4096;"
					   "PRAGMA journal_mode = TRUNCATE;"
					   "PRAGMA synchronous = EXTRA;"
					   "PRAGMA secure_delete = ON;";
	static const int options[][2] = { { SQLITE_DBCONFIG_DEFENSIVE, 1 },
		{ SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
		{ SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 },
		{ SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
		{ SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
		{ SQLITE_DBCONFIG_DQS_DML, 0 },
		{ SQLITE_DBCONFIG_DQS_DDL, 0 } };
	int rc = SQLITE_OK;
	size_t i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (rc == SQLITE_OK)
			rc = sqlite3_db_config(
				s->db, options[i][0], options[i][1], NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, common, NULL, NULL, NULL);
	if (rc == SQLITE_OK && !s->read_only)
		rc = sqlite3_exec(s->db, writing, NULL, NULL, NULL);
	return rc;
}

/* opens, and reads the first page: rolls a hot journal back or says why not */
static int
connect(struct store *s, const char *path, int flags)
{
	int rc;

	rc = sqlite3_open_v2(path, &s->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return rc;
	sqlite3_extended_result_codes(s->db, 1);
	sqlite3_busy_handler(s->db, wait_busy, NULL);
	rc = lock_down(s);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, "SELECT count(*) FROM sqlite_schema",
			NULL, NULL, NULL);
	return rc;
}

/* percent-encodes an absolute path for a file: URI */
static bool
make_uri(const char *path, struct buf *uri)
{
	buf_str(uri, "file://");
	for (; *path != '\0'; path++)
		if (strchr("%?#", *path) != NULL)
			buf_printf(uri, "%%%02x", (unsigned char)*path);
		else
			buf_put(uri, path, 1);
	buf_str(uri, "?immutable=1");
	return buf_cstr(uri) != NULL;
}

bool
store_has_journal(const char *path)
{
	struct buf name = BUF_INIT;
	struct stat st;
	bool has;

	buf_printf(&name, "%s-journal", path);
	has = buf_cstr(&name) == NULL ||
		(stat((const char *)name.p, &st) == 0 && st.st_size > 0);
	buf_free(&name);
	return has;
}

/* a medium without locks; a file that nobody can be writing */
static int
connect_immutable(struct store *s, const char *path)
{
	struct buf uri = BUF_INIT;
	int rc = SQLITE_NOMEM;

	store_close(s);
	s->read_only = true;
	if (make_uri(path, &uri))
		rc = connect(s, (const char *)uri.p,
			SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
	buf_free(&uri);
	return rc;
}

int
store_open(
	struct store *s, const char *path, bool read_only, struct ofs_error *e)
{
	int rc;

	memset(s, 0, sizeof(*s));
	s->read_only = read_only;
	rc = connect(s, path,
		read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
	if (read_only && !store_has_journal(path) &&
		((rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_IOERR))
		rc = connect_immutable(s, path);
	if (rc == SQLITE_OK)
		return 0;
	rc = store_fail(s, rc, "open", e);
	store_close(s);
	return rc;
}

void
store_close(struct store *s)
{
	for (size_t i = 0; i < STORE_STATEMENTS; i++)
		sqlite3_finalize(s->stmt[i]);
	sqlite3_close_v2(s->db);
	memset(s, 0, sizeof(*s));
}

int
store_get_int(struct store *s, const char *sql, int64_t *v, struct ofs_error *e)
{
	sqlite3_stmt *st = NULL;
	int rc;

	*v = 0;
	rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*v = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return rc == SQLITE_ROW ? 0 : store_fail(s, rc, "read", e);
}

int
store_is_empty(struct store *s, bool *empty, struct ofs_error *e)
{
	int64_t pages;
	int rc;

	rc = store_get_int(s, "PRAGMA page_count", &pages, e);
	*empty = pages == 0;
	return rc;
}

int
store_create(struct store *s, struct ofs_error *e)
{
	struct buf sql = BUF_INIT;
	int rc = SQLITE_NOMEM;

	for (size_t i = 0; i < tables_of(FORMAT); i++) {
		buf_str(&sql, schema[i]);
		buf_str(&sql, ";");
	}
	buf_printf(&sql, "PRAGMA application_id = %d; PRAGMA user_version = %d",
		APPLICATION_ID, FORMAT);
	if (buf_cstr(&sql) != NULL)
		rc = sqlite3_exec(s->db, (const char *)sql.p, NULL, NULL, NULL);
	buf_free(&sql);
	return rc == SQLITE_OK ? 0 : store_fail(s, rc, "create", e);
}

static int
check_schema(struct store *s, size_t tables, struct ofs_error *e)
{
	sqlite3_stmt *st = NULL;
	const char *sql;
	size_t i = 0;
	bool same = true;
	int rc;

	/* indices that SQLite makes for constraints have no text */
	rc = sqlite3_prepare_v2(s->db,
		"SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL "
		"ORDER BY rowid",
		-1, &st, NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		sql = (const char *)sqlite3_column_text(st, 0);
		if (i >= tables || sql == NULL || strcmp(sql, schema[i]) != 0)
			same = false;
		i++;
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	if (rc != SQLITE_DONE)
		return store_fail(s, rc, "read", e);
	if (!same || i != tables)
		return err_set(e, OFS_EDAMAGED,
			"tables of the audit log are not those that it was "
			"made with");
	return 0;
}

int
store_check(struct store *s, struct ofs_error *e)
{
	int64_t id, version;
	int rc;

	rc = store_get_int(s, "PRAGMA application_id", &id, e);
	if (rc == 0)
		rc = store_get_int(s, "PRAGMA user_version", &version, e);
	if (rc != 0)
		return rc;
	if (id != APPLICATION_ID)
		return err_set(e, OFS_EAUDIT,
			"cannot open audit log: log.db is some other program's "
			"database");
	if (version < FORMAT || version > FORMAT_NEWEST)
		return err_set(e, OFS_EAUDIT,
			"cannot open audit log: its format is %lld, and this "
			"version knows %d to %d",
			(long long)version, FORMAT, FORMAT_NEWEST);
	return check_schema(s, tables_of(version), e);
}

int
store_raise(struct store *s, int format, struct ofs_error *e)
{
	struct buf sql = BUF_INIT;
	int64_t version;
	int rc;

	rc = store_get_int(s, "PRAGMA user_version", &version, e);
	if (rc != 0 || version >= format)
		return rc;
	for (size_t i = tables_of(version); i < tables_of(format); i++) {
		buf_str(&sql, schema[i]);
		buf_str(&sql, ";");
	}
	buf_printf(&sql, "PRAGMA user_version = %d", format);
	rc = SQLITE_NOMEM;
	if (buf_cstr(&sql) != NULL)
		rc = sqlite3_exec(s->db, (const char *)sql.p, NULL, NULL, NULL);
	buf_free(&sql);
	return rc == SQLITE_OK ? 0 : store_fail(s, rc, "write", e);
}

static int
has_format(struct store *s, int format, bool *has, struct ofs_error *e)
{
	int64_t version;
	int rc;

	rc = store_get_int(s, "PRAGMA user_version", &version, e);
	*has = rc == 0 && version >= format;
	return rc;
}

int
store_has_tracks(struct store *s, bool *has, struct ofs_error *e)
{
	return has_format(s, STORE_FORMAT_TRACKS, has, e);
}

int
store_has_evidence(struct store *s, bool *has, struct ofs_error *e)
{
	return has_format(s, STORE_FORMAT_EVIDENCE, has, e);
}

int
store_begin(struct store *s, bool write, struct ofs_error *e)
{
	int rc;

	rc = sqlite3_exec(
		s->db, write ? "BEGIN IMMEDIATE" : "BEGIN", NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : store_fail(s, rc, "lock", e);
}

int
store_commit(struct store *s, struct ofs_error *e)
{
	int rc;

	/* some errors make SQLite roll back by itself */
	if (sqlite3_get_autocommit(s->db))
		return err_set(e, OFS_EAUDIT,
			"cannot write audit log: its transaction was lost");
	rc = sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : store_fail(s, rc, "write", e);
}

void
store_rollback(struct store *s)
{
	for (size_t i = 0; i < STORE_STATEMENTS; i++)
		if (s->stmt[i] != NULL)
			sqlite3_reset(s->stmt[i]);
	if (!sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}
