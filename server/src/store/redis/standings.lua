#!lua flags=no-writes
-- KEYS: players' hashes. Answers for each {owner or '', epoch or '0', revision or '0', the revision's
-- writer or ''}; a damaged one has no owner.
local found = {}
for i, key in ipairs(KEYS) do
  local header = redis.pcall('HMGET', key, 'owner', 'epoch', 'rev', 'writer')
  if header.err then header = {} end
  found[i] = {header[1] or '', header[2] or '0', header[3] or '0', header[4] or ''}
end
return found
