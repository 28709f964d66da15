-- Going back to an earlier commit, and more of what a deploy can say of itself.

alter table airlock.repository
  -- What is live in place of the branch's newest commit, until the branch moves on or somebody takes it back.
  add column held_commit text,
  -- The branch's commit that it was put in place of: any other one on the branch ends the hold.
  add column held_over text,
  add column held_at timestamptz,
  add column held_by text,
  -- Who asked for the sync that is wanted; null: nobody did (a poll, a webhook).
  add column wanted_by text,
  drop constraint repository_wanted_reason_check,
  add constraint repository_wanted_reason_check
    check (wanted_reason in ('push', 'webhook', 'poll', 'asked', 'retry', 'restored')),
  add check ((held_commit is null) = (held_over is null));

alter table airlock.deploy
  -- Who pushed or asked, as an actor of the audit log.
  add column asked_by text,
  -- {"author", "subject", "at"} of the commit.
  add column about json,
  -- Milliseconds of each part: {"fetch", "checkout", "environment", "parse", "store"}.
  add column parts json,
  -- [{"path", "line", "message", "hint"}]; at most 200.
  add column warnings json not null default '[]';

-- Which commits a repository may go back to.
create index deploy_live on airlock.deploy (tenant, repository, commit) where state = 'live';
-- What a commit brought: the DAG versions that it was the first to hold.
create index dag_version_of_commit on airlock.dag_version (tenant, repository, commit);

-- What a tenant used: tries by when they ended, with all that the sum needs, so that it is read from the index alone.
create index attempt_ended on airlock.attempt (tenant, ended_at) include (dag_id, started_at, cpu_s, peak_memory)
  where state = 'ended';
