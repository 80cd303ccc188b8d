/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copies of the store: tables as they are, records by ranges. */
#include <string.h>

#include "store/store.h"

/* Rows that a query of one store gives, put into a table of another. */
struct copier {
	struct store *from, *to;
	sqlite3_stmt *get, *put;
};

static int
cannot_write(struct store *to, int sqlite_rc, struct ofs_error *e)
{
	if ((sqlite_rc & 0xff) == SQLITE_NOMEM)
		return err_nomem(e);
	to->failed = true;
	return err_set(e, OFS_EIO, "cannot write a copy of the audit log: %s",
		sqlite3_errstr(sqlite_rc));
}

/* names of tables are those of our own schema */
static int
copier_init(struct copier *c, struct store *from, struct store *to,
	const char *table, const char *where, struct ofs_error *e)
{
	struct buf sql = BUF_INIT;
	int rc = SQLITE_NOMEM, i;

	memset(c, 0, sizeof(*c));
	c->from = from;
	c->to = to;
	buf_printf(&sql, "SELECT * FROM %s %s", table, where);
	if (buf_cstr(&sql) != NULL)
		rc = sqlite3_prepare_v2(
			from->db, (const char *)sql.p, -1, &c->get, NULL);
	if (rc != SQLITE_OK) {
		buf_free(&sql);
		return store_fail(from, rc, "read", e);
	}
	buf_reset(&sql);
	buf_printf(&sql, "INSERT INTO %s VALUES (", table);
	for (i = 0; i < sqlite3_column_count(c->get); i++)
		buf_str(&sql, i == 0 ? "?" : ", ?");
	buf_str(&sql, ")");
	rc = SQLITE_NOMEM;
	if (buf_cstr(&sql) != NULL)
		rc = sqlite3_prepare_v2(
			to->db, (const char *)sql.p, -1, &c->put, NULL);
	buf_free(&sql);
	return rc == SQLITE_OK ? 0 : cannot_write(to, rc, e);
}

static void
copier_free(struct copier *c)
{
	sqlite3_finalize(c->get);
	sqlite3_finalize(c->put);
}

/* *more is false at the end; the row stays readable in c->get */
static int
copy_row(struct copier *c, bool *more, size_t *bytes, struct ofs_error *e)
{
	int rc = sqlite3_step(c->get), i;

	*more = rc == SQLITE_ROW;
	if (rc == SQLITE_DONE)
		return 0;
	if (rc != SQLITE_ROW)
		return store_fail(c->from, rc, "read", e);
	rc = SQLITE_OK;
	for (i = 0; rc == SQLITE_OK && i < sqlite3_column_count(c->get); i++) {
		rc = sqlite3_bind_value(
			c->put, i + 1, sqlite3_column_value(c->get, i));
		*bytes += (size_t)sqlite3_column_bytes(c->get, i);
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_step(c->put);
	sqlite3_reset(c->put);
	return rc == SQLITE_DONE ? 0 : cannot_write(c->to, rc, e);
}

static int
copy_table(struct store *from, struct store *to, const char *table,
	struct ofs_error *e)
{
	struct copier c;
	bool more = true;
	size_t bytes = 0;
	int rc;

	rc = copier_init(&c, from, to, table, "", e);
	while (rc == 0 && more)
		rc = copy_row(&c, &more, &bytes, e);
	copier_free(&c);
	return rc;
}

static int
copy_mark(struct store *from, struct store *to, const char *pragma,
	struct ofs_error *e)
{
	struct buf sql = BUF_INIT;
	int rc = SQLITE_NOMEM;
	int64_t v = 0;

	buf_printf(&sql, "PRAGMA %s", pragma);
	if (buf_cstr(&sql) != NULL &&
		store_get_int(from, (const char *)sql.p, &v, e) != 0) {
		buf_free(&sql);
		return e->code;
	}
	buf_printf(&sql, " = %lld", (long long)v);
	if (buf_cstr(&sql) != NULL)
		rc = sqlite3_exec(
			to->db, (const char *)sql.p, NULL, NULL, NULL);
	buf_free(&sql);
	return rc == SQLITE_OK ? 0 : cannot_write(to, rc, e);
}

int
store_copy_tables(struct store *from, struct store *to, struct ofs_error *e)
{
	sqlite3_stmt *st = NULL;
	const char *name, *sql;
	int rc, step;

	/* store_check() has seen that these are our tables and nothing else */
	rc = sqlite3_prepare_v2(from->db,
		"SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL "
		"ORDER BY rowid",
		-1, &st, NULL);
	if (rc != SQLITE_OK)
		return store_fail(from, rc, "read", e);
	while (rc == 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
		if (step != SQLITE_ROW) {
			rc = store_fail(from, step, "read", e);
			break;
		}
		name = (const char *)sqlite3_column_text(st, 0);
		sql = (const char *)sqlite3_column_text(st, 1);
		if (name == NULL || sql == NULL) {
			rc = err_nomem(e);
			break;
		}
		rc = sqlite3_exec(to->db, sql, NULL, NULL, NULL);
		if (rc != SQLITE_OK)
			rc = cannot_write(to, rc, e);
		/* a kept key is destroyed in time; a copy of it would not be */
		else if (strcmp(name, "record") != 0 &&
			strcmp(name, "tile") != 0 &&
			strcmp(name, "kept_key") != 0)
			rc = copy_table(from, to, name, e);
	}
	sqlite3_finalize(st);
	if (rc == 0)
		rc = copy_mark(from, to, "application_id", e);
	return rc == 0 ? copy_mark(from, to, "user_version", e) : rc;
}

/* the record in c->get becomes a leaf, and perhaps completes tiles */
static int
add_leaf(struct copier *c, struct merkle *m, struct ofs_error *e)
{
	const void *header = sqlite3_column_blob(c->get, 1);
	size_t n = (size_t)sqlite3_column_bytes(c->get, 1);
	uint8_t hash[MERKLE_HASH];
	int rc;

	if (sqlite3_column_int64(c->get, 0) != (int64_t)m->size ||
		n != RECORD_HEADER_SIZE || header == NULL)
		return err_set(e, OFS_EDAMAGED,
			"record %llu of the audit log is missing or malformed",
			(unsigned long long)m->size);
	rc = merkle_leaf(m, header, n, hash, e);
	if (rc == 0)
		rc = merkle_add(m, 0, hash, e);
	for (unsigned int level = 1; rc == 0 && level <= m->tiles; level++)
		rc = store_tile_put(c->to, level,
			(m->size >> (level * MERKLE_TILE_HEIGHT)) - 1,
			m->tile[level], e);
	return rc;
}

int
store_copy_records(struct store *from, struct store *to, uint64_t end,
	size_t max_bytes, struct merkle *m, struct ofs_error *e)
{
	uint64_t first = m->size;
	struct copier c;
	size_t bytes = 0;
	bool more = true;
	int rc;

	rc = copier_init(&c, from, to, "record",
		"WHERE seq BETWEEN ? AND ? ORDER BY seq", e);
	if (rc == 0 &&
		(sqlite3_bind_int64(c.get, 1, (int64_t)first) != SQLITE_OK ||
			sqlite3_bind_int64(c.get, 2, (int64_t)end - 1) !=
				SQLITE_OK))
		rc = err_nomem(e);
	while (rc == 0 && more && bytes < max_bytes) {
		rc = copy_row(&c, &more, &bytes, e);
		if (rc == 0 && more)
			rc = add_leaf(&c, m, e);
	}
	copier_free(&c);
	if (rc == 0 && m->size == first)
		rc = store_missing(first, e);
	return rc;
}
