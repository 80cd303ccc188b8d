/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The public face of a batch: options, items, plan, run. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <offlinesig/batch.h>

#include "audit/log.h"
#include "base/ctx.h"
#include "base/time.h"
#include "crypto/pubkey.h"
#include "sign/copy.h"
#include "sign/errs.h"
#include "sign/feed.h"
#include "sign/list.h"
#include "sign/maker.h"
#include "sign/permit.h"
#include "sign/plan.h"
#include "sign/release.h"
#include "sign/run.h"

#define JOBS_MAX 64
#define KEYS_MAX 32
#define PROGRESS_US 200000 /* of a plan */

struct ofs_batch {
	ofs_ctx *ctx;
	ofs_key *keys[KEYS_MAX];
	size_t n_keys;
	ofs_audit *audit;
	struct ofs_sign_opts opts; /* out_dir is owned, of the other pointers
				      none is kept */
	struct maker maker;
	pthread_mutex_t lock; /* over the list */
	struct list list;
	bool sealed;       /* planned or run: the list stays as it is */
	bool digests;      /* the key may sign what is not here */
	bool ended;        /* open-ended: no more documents come */
	struct feed *feed; /* open-ended: takes in what comes while it runs */
	bool ran;
	struct plan *plan; /* NULL: not planned */
	atomic_bool cancelled;
	struct errs *errs;
	ofs_result_fn result;
	void *result_arg;
	ofs_progress_fn progress;
	void *progress_arg;
};

static struct ofs_error *
own(const ofs_batch *b)
{
	return errs_own(b->errs);
}

static int
check_opts(const struct ofs_sign_opts *o, struct ofs_error *e)
{
	if (o->size != sizeof(*o))
		return err_set(e, OFS_EINVAL,
			"the options are of another version of the library; "
			"start from OFS_SIGN_OPTS_INIT");
	if ((unsigned int)o->format > OFS_FORMAT_RAW ||
		(unsigned int)o->digest > OFS_DIGEST_SHAKE256 ||
		(unsigned int)o->existing > OFS_EXISTING_SKIP ||
		(unsigned int)o->padding > OFS_PADDING_PSS ||
		(unsigned int)o->on_duplicate > OFS_DUPLICATE_REFUSE)
		return err_set(e, OFS_EINVAL,
			"format, digest, existing, padding or on_duplicate is "
			"out of its range");
	if (o->jobs > JOBS_MAX)
		return err_set(e, OFS_EINVAL,
			"%u jobs are too many; at most %d", o->jobs, JOBS_MAX);
	if (o->open_ended && (o->resume != NULL || o->resign_unknown))
		return err_set(e, OFS_EINVAL,
			"an open-ended batch cannot go on with another one");
	return 0;
}

static unsigned int
default_jobs(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 16 ? 16 : (unsigned int)n;
}

/* a plan needs no log, but may need some place for its list */
static const char *
spool_dir(const ofs_audit *audit, const struct ofs_sign_opts *opts)
{
	if (opts->spool_dir != NULL)
		return opts->spool_dir;
	return audit != NULL ? log_place(audit) : "/tmp";
}

static int
keep_text(const char *from, const char **to, struct ofs_error *e)
{
	if (from == NULL)
		return 0;
	*to = strdup(from);
	return *to == NULL ? err_nomem(e) : 0;
}

int
ofs_batch_new(ofs_ctx *ctx, ofs_key *key, ofs_audit *audit,
	const struct ofs_sign_opts *opts, ofs_batch **out)
{
	static const struct ofs_sign_opts defaults = OFS_SIGN_OPTS_INIT;
	struct ofs_error e;
	ofs_batch *b;
	int rc;

	*out = NULL;
	err_clear(&e);
	if (opts == NULL)
		opts = &defaults;
	rc = check_opts(opts, &e);
	if (rc != 0)
		return ctx_fail(ctx, &e);
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_nomem(&ctx->err);
	pthread_mutex_init(&b->lock, NULL);
	b->ctx = ctx;
	b->keys[b->n_keys++] = key;
	b->audit = audit;
	b->opts = *opts;
	b->opts.out_dir = b->opts.copy_dir = b->opts.spool_dir = NULL;
	b->opts.resume = NULL;
	if (b->opts.jobs == 0)
		b->opts.jobs = default_jobs();
	rc = list_init(&b->list, spool_dir(audit, opts), &e);
	b->errs = errs_new(opts->open_ended);
	if (rc == 0 && b->errs == NULL)
		rc = err_nomem(&e);
	if (rc == 0)
		rc = maker_init(&b->maker, ctx, key, opts, &e);
	if (rc == 0)
		rc = keep_text(opts->out_dir, &b->opts.out_dir, &e);
	if (rc == 0)
		rc = keep_text(opts->copy_dir, &b->opts.copy_dir, &e);
	if (rc == 0)
		rc = keep_text(opts->resume, &b->opts.resume, &e);
	if (rc != 0) {
		ofs_batch_free(b);
		return ctx_fail(ctx, &e);
	}
	*out = b;
	return 0;
}

void
ofs_batch_free(ofs_batch *b)
{
	if (b == NULL)
		return;
	feed_free(b->feed);
	maker_clear(&b->maker);
	plan_free(b->plan);
	errs_free(b->errs);
	list_free(&b->list);
	free((char *)(uintptr_t)b->opts.out_dir);
	free((char *)(uintptr_t)b->opts.copy_dir);
	free((char *)(uintptr_t)b->opts.resume);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

const struct ofs_error *
ofs_batch_error(const ofs_batch *b)
{
	return own(b);
}

void
ofs_batch_on_result(ofs_batch *b, ofs_result_fn fn, void *arg)
{
	b->result = fn;
	b->result_arg = arg;
}

void
ofs_batch_on_progress(ofs_batch *b, ofs_progress_fn fn, void *arg)
{
	b->progress = fn;
	b->progress_arg = arg;
}

void
ofs_batch_on_validate(ofs_batch *b, ofs_validate_fn fn, void *arg)
{
	b->maker.validate = fn;
	b->maker.validate_arg = arg;
}

/* *at: the place for it in the batch */
static int
check_clone(const ofs_batch *b, ofs_key *key, size_t *at, struct ofs_error *e)
{
	const struct ofs_key_info *i = ofs_key_get_info(key);
	size_t n;

	if (!pubkey_equal(key_pub(key), key_pub(b->keys[0])))
		return err_set(e, OFS_EKEY,
			"key '%s' on '%s' is another key than '%s' on '%s'; "
			"several tokens share a batch when they hold the same "
			"key",
			i->label, ofs_token_get_info(key_token(key))->label,
			ofs_key_get_info(b->keys[0])->label,
			ofs_token_get_info(key_token(b->keys[0]))->label);
	for (n = 0; n < b->n_keys; n++)
		if (strcmp(ofs_key_get_info(b->keys[n])->uri, i->uri) == 0)
			break;
	*at = n;
	if (n < b->n_keys && (key_signs(b->keys[n]) || !key_signs(key)))
		return err_set(e, OFS_EINVAL,
			"key '%s' on '%s' was named already; name each token "
			"once",
			i->label, ofs_token_get_info(key_token(key))->label);
	if (n == KEYS_MAX)
		return err_set(e, OFS_EINVAL, "a batch takes at most %d keys",
			KEYS_MAX);
	return 0;
}

int
ofs_batch_add_key(ofs_batch *b, ofs_key *key)
{
	size_t at = 0;
	int rc;

	pthread_mutex_lock(&b->lock);
	err_clear(own(b));
	rc = b->ran ? err_set(own(b), OFS_EINVAL,
			      "the batch has run; make a new one")
		    : check_clone(b, key, &at, own(b));
	/* the token tells more of a key after a login */
	if (rc == 0 && at == 0)
		rc = maker_set_key(&b->maker, key, &b->opts, own(b));
	if (rc == 0)
		b->keys[at] = key;
	if (rc == 0 && at == b->n_keys)
		b->n_keys++;
	pthread_mutex_unlock(&b->lock);
	return rc;
}

/*
 * Takes the lock for adding to the list; OFS_EINVAL, without it, once that is
 * fixed. With *feed set, to which is to be added instead, it has no lock.
 */
static int
begin_add(ofs_batch *b, struct feed **feed)
{
	const char *why = NULL;

	*feed = NULL;
	err_clear(own(b));
	pthread_mutex_lock(&b->lock);
	*feed = b->feed;
	if (b->feed == NULL && b->sealed)
		why = "the batch was planned or has run; make a new one for "
		      "more documents";
	else if (b->feed == NULL && b->ended)
		why = "the batch was ended; make a new one for more documents";
	if (why == NULL && b->feed == NULL)
		return 0;
	pthread_mutex_unlock(&b->lock);
	return why == NULL ? 0 : err_set(own(b), OFS_EINVAL, "%s", why);
}

/* of a list that is added as a whole */
static int
begin_add_list(ofs_batch *b)
{
	struct feed *feed;
	int rc = begin_add(b, &feed);

	if (rc != 0 || feed == NULL)
		return rc;
	return err_set(own(b), OFS_EINVAL,
		"lists are not added while a batch runs; add their documents "
		"one by one");
}

int
ofs_batch_add_file(ofs_batch *b, const char *path, const uint8_t *sha256)
{
	struct ofs_item item = OFS_ITEM_INIT;

	item.path = path;
	item.sha256 = sha256;
	return ofs_batch_add_item(b, &item);
}

int
ofs_batch_add_tree(ofs_batch *b, const char *dir)
{
	int rc = begin_add_list(b);

	if (rc != 0)
		return rc;
	rc = list_add_tree(&b->list, dir, own(b));
	pthread_mutex_unlock(&b->lock);
	return rc;
}

int
ofs_batch_add_sums(ofs_batch *b, const char *sums_path)
{
	int rc = begin_add_list(b);

	if (rc != 0)
		return rc;
	rc = list_add_sums(&b->list, sums_path, own(b));
	pthread_mutex_unlock(&b->lock);
	return rc;
}

int
ofs_batch_add_item(ofs_batch *b, const struct ofs_item *item)
{
	struct feed *feed;
	int rc = begin_add(b, &feed);

	if (rc != 0)
		return rc;
	if (feed != NULL)
		return feed_add(feed, item, own(b));
	rc = list_add_item(&b->list, item, own(b));
	pthread_mutex_unlock(&b->lock);
	return rc;
}

int
ofs_batch_add_manifest(ofs_batch *b, const char *path, const char *root)
{
	int rc = begin_add_list(b);

	if (rc != 0)
		return rc;
	rc = list_add_manifest(&b->list, path, root, own(b));
	pthread_mutex_unlock(&b->lock);
	return rc;
}

int
ofs_batch_add_names(
	ofs_batch *b, const char *path, const char *root, enum ofs_names how)
{
	int rc = begin_add_list(b);

	if (rc != 0)
		return rc;
	if ((unsigned int)how > OFS_NAMES_NUL)
		rc = err_set(own(b), OFS_EINVAL,
			"the separator of names is out of its range");
	if (rc == 0)
		rc = list_add_names(&b->list, path, root, how, own(b));
	pthread_mutex_unlock(&b->lock);
	return rc;
}

int
ofs_batch_add_bytes(ofs_batch *b, const char *name, const void *p, size_t n)
{
	struct feed *feed;
	int rc = begin_add(b, &feed);

	if (rc != 0)
		return rc;
	if (feed != NULL)
		return feed_add_bytes(feed, name, p, n, own(b));
	rc = list_add_bytes(&b->list, name, p, n, own(b));
	pthread_mutex_unlock(&b->lock);
	return rc;
}

/* looked up once; nothing is held */
static int
check_digests(ofs_batch *b, size_t len)
{
	struct ofs_error *e = own(b);
	int rc;

	err_clear(e);
	pthread_mutex_lock(&b->lock);
	rc = maker_check_digest(&b->maker, len, e);
	if (rc == 0 && !b->digests)
		rc = permit_digests(b->audit, b->keys[0], e);
	if (rc == 0)
		b->digests = true;
	pthread_mutex_unlock(&b->lock);
	return rc;
}

int
ofs_batch_add_digest(ofs_batch *b, const struct ofs_item *item,
	const uint8_t *digest, size_t len)
{
	struct feed *feed;
	int rc = check_digests(b, len);

	if (rc == 0 && item->sha256 != NULL)
		rc = err_set(own(b), OFS_EINVAL,
			"a document that is not here cannot be compared with "
			"its SHA-256");
	if (rc == 0)
		rc = begin_add(b, &feed);
	if (rc != 0)
		return rc;
	if (feed != NULL)
		return feed_add_digest(feed, item, digest, len, own(b));
	rc = list_add_digest(&b->list, item, digest, len, own(b));
	pthread_mutex_unlock(&b->lock);
	return rc;
}

int
ofs_batch_add_digests(ofs_batch *b, const char *path)
{
	size_t len = b->maker.alg->digest->size;
	int rc = check_digests(b, len);

	if (rc == 0)
		rc = begin_add_list(b);
	if (rc != 0)
		return rc;
	rc = list_add_digests(&b->list, path, len, own(b));
	pthread_mutex_unlock(&b->lock);
	return rc;
}

int
ofs_batch_end(ofs_batch *b)
{
	int rc = 0;

	err_clear(own(b));
	pthread_mutex_lock(&b->lock);
	if (!b->opts.open_ended)
		rc = err_set(own(b), OFS_EINVAL,
			"the batch is not open-ended: it ends with its list");
	else
		b->ended = true;
	if (b->feed != NULL)
		feed_end(b->feed);
	pthread_mutex_unlock(&b->lock);
	return rc;
}

/* no more adding from here on; every item gets its output */
static int
seal(ofs_batch *b)
{
	const struct ofs_sign_opts *o = &b->opts;
	int rc = 0;

	b->sealed = true;
	if (b->list.n == 0 && !o->open_ended)
		return err_set(own(b), OFS_EINVAL,
			"there is nothing to sign; name a document");
	if (o->out_dir != NULL)
		rc = release_check_place(o->out_dir, own(b));
	if (rc == 0)
		rc = list_check_limits(
			&b->list, o->max_items, o->max_bytes, own(b));
	if (rc == 0)
		rc = list_place(&b->list, o->format, o->out_dir, own(b));
	if (rc == 0 && o->copy_dir != NULL)
		rc = copy_place(&b->list, o, own(b));
	if (rc == 0 && o->open_ended)
		rc = feed_new(&b->list, o, &b->feed, own(b));
	if (rc == 0 && b->ended && b->feed != NULL)
		feed_end(b->feed);
	return rc;
}

/* who may have any bytes signed must not have the head of the log signed */
static int
refuse_audit_key(ofs_batch *b)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && b->audit != NULL && i < b->n_keys; i++)
		rc = log_refuse_key(b->audit, key_pub(b->keys[i]), own(b));
	return rc;
}

/* once before the plan, or once before the run */
static int
settle(ofs_batch *b, bool run, struct ofs_progress *p)
{
	int rc = 0;

	memset(p, 0, sizeof(*p));
	p->size = sizeof(*p);
	pthread_mutex_lock(&b->lock);
	err_clear(own(b));
	if (b->ran || (b->sealed && !run))
		rc = err_set(own(b), OFS_EINVAL,
			"the batch was planned or has run; make a new one");
	else if (!b->sealed)
		rc = seal(b);
	if (rc == 0)
		rc = refuse_audit_key(b);
	if (rc != 0 || run)
		b->ran = true;
	pthread_mutex_unlock(&b->lock);
	p->items = b->list.n;
	return rc;
}

static int
plan_one(ofs_batch *b, const struct resume *r, struct prepare *prep, size_t i,
	struct chunk *c, struct ofs_progress *p)
{
	struct ofs_result res;
	struct work *w;
	int rc;

	chunk_reset(c);
	w = chunk_add(c, i);
	rc = list_read(&b->list, i, &w->own, own(b));
	if (rc != 0)
		return rc;
	if (!resume_item(r, prep, w))
		maker_prepare(&b->maker, prep, w);
	p->bytes += w->size;
	if (w->status == OFS_ITEM_FAILED)
		p->failed++;
	else if (w->status == OFS_ITEM_SKIPPED)
		p->skipped++;
	else if (w->status == OFS_ITEM_UNKNOWN)
		p->unknown++;
	else
		p->not_attempted++;
	run_result(&b->maker, w, &res);
	if (b->result != NULL)
		b->result(b->result_arg, &res);
	return plan_add(b->plan, w, own(b));
}

static int
plan_all(ofs_batch *b, struct ofs_progress *p)
{
	struct resume resume = { .found = false };
	int64_t now, began = time_mono(), shown = began;
	struct prepare prep = { 0 };
	struct chunk *c = chunk_new();
	size_t i;
	int rc;

	rc = c == NULL ? err_nomem(own(b))
		       : plan_new(b->list.dir, &b->plan, own(b));
	if (rc == 0 && b->audit != NULL)
		rc = resume_find(&resume, b->audit, &b->maker, &b->list,
			&b->opts, false, own(b));
	if (rc == 0)
		run_tell_resumed(b->ctx, &resume, p);
	for (i = 0; rc == 0 && i < b->list.n && !atomic_load(&b->cancelled);
		i++) {
		rc = plan_one(b, &resume, &prep, i, c, p);
		now = time_mono();
		p->elapsed = now - began;
		if (b->progress != NULL && now - shown >= PROGRESS_US) {
			shown = now;
			b->progress(b->progress_arg, p);
		}
	}
	resume_clear(&resume);
	chunk_free(c);
	prepare_free(&prep);
	if (rc == 0 && atomic_load(&b->cancelled))
		rc = err_set(own(b), OFS_EINTR, "the plan was interrupted");
	if (rc == 0)
		rc = plan_finish(b->plan, &b->list, &b->maker, own(b));
	return rc;
}

int
ofs_batch_plan(ofs_batch *b, struct ofs_progress *out)
{
	struct ofs_progress of_us, *p = out != NULL ? out : &of_us;
	int rc;

	if (b->opts.open_ended)
		return err_set(own(b), OFS_EINVAL,
			"nobody knows what an open-ended batch will sign, so "
			"there is no plan of it");
	rc = settle(b, false, p);
	if (rc == 0)
		rc = plan_all(b, p);
	if (rc == 0)
		rc = plan_estimate(
			b->plan, b->audit, b->keys[0], b->opts.rate, own(b));
	if (rc != 0) {
		b->ran = true; /* nothing is signed on half a plan */
		return rc;
	}
	b->maker.planned = b->plan;
	if (p->failed + p->unknown > 0)
		return err_set(own(b), OFS_EITEMS,
			"%zu of %zu items cannot be signed",
			p->failed + p->unknown, p->items);
	return 0;
}

const struct ofs_plan *
ofs_batch_get_plan(const ofs_batch *b)
{
	return b->maker.planned != NULL ? plan_get(b->plan) : NULL;
}

int
ofs_batch_list_sha256(ofs_batch *b, uint8_t *out)
{
	int rc;

	if (b->opts.open_ended)
		return err_set(own(b), OFS_EINVAL,
			"the list of an open-ended batch is known when it is "
			"closed");
	pthread_mutex_lock(&b->lock);
	err_clear(own(b));
	rc = list_sha256(&b->list, out, own(b));
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static int
run(ofs_batch *b, struct ofs_progress *p)
{
	struct run_opts o = { .ctx = b->ctx,
		.keys = b->keys,
		.n_keys = b->n_keys,
		.audit = b->audit,
		.sign = &b->opts,
		.maker = &b->maker,
		.list = &b->list,
		.feed = b->feed,
		.jobs = b->opts.jobs,
		.cancelled = &b->cancelled,
		.result = b->result,
		.result_arg = b->result_arg,
		.progress = b->progress,
		.progress_arg = b->progress_arg };

	if (b->audit == NULL)
		return err_set(own(b), OFS_EINVAL,
			"there is no signing without an audit log; open one");
	if (b->feed == NULL && (size_t)o.jobs > b->list.n)
		o.jobs = (unsigned int)b->list.n;
	return run_batch(&o, p, own(b));
}

int
ofs_batch_run(ofs_batch *b, struct ofs_progress *out)
{
	struct ofs_progress of_us, *p = out != NULL ? out : &of_us;
	int rc;

	rc = settle(b, true, p);
	if (rc == 0)
		rc = run(b, p);
	if (b->feed != NULL)
		feed_stop(b->feed);
	return rc;
}

void
ofs_batch_cancel(ofs_batch *b)
{
	atomic_store(&b->cancelled, true);
}
