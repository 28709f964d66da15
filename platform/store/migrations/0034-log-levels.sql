-- What a reader of a log must know without reading its text: how many lines of each level a chunk holds, and whether
-- groups begin or end in it. Generated, so that no writer can forget them. In a line's JSON only its level can stand
-- as `,"error","`: a quote inside of its text is escaped.
alter table airlock.log_chunk
  add column debugs int generated always as ((octet_length(text) - octet_length(replace(text, ',"debug","', ''))) / 10) stored,
  add column warnings int generated always as ((octet_length(text) - octet_length(replace(text, ',"warning","', ''))) / 12) stored,
  add column errors int generated always as ((octet_length(text) - octet_length(replace(text, ',"error","', ''))) / 10) stored,
  add column criticals int generated always as ((octet_length(text) - octet_length(replace(text, ',"critical","', ''))) / 13) stored,
  add column has_groups boolean generated always as (position('::group::' in text) > 0 or position('::endgroup::' in text) > 0) stored;
