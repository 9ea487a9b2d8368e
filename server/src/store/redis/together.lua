#!lua flags=no-writes
-- KEYS: of each player the hash, the ledger and the inbox. Answers for each {fields and values, ledger items, gifts and their
-- bytes}, all of one moment, or {why it cannot be read}.
local found = {}
for i = 1, #KEYS, 3 do
  local fields = redis.pcall('HGETALL', KEYS[i])
  local ledger = redis.pcall('XRANGE', KEYS[i + 1], '-', '+')
  local inbox = redis.pcall('HGETALL', KEYS[i + 2])
  local damage = fields.err or ledger.err or inbox.err
  found[#found + 1] = damage and {damage} or {fields, ledger, inbox}
end
return found
