#!lua flags=no-writes
-- What a giver has to know of a player.
-- KEYS: the player's hash, its inbox, and the prefix of the nodes' keys.
-- Answers {'door', revision or '0', preferences or '0', how many gifts wait, owner or '' where none is alive} or
-- {'unreadable', why}.
local header = redis.pcall('HMGET', KEYS[1], 'rev', 'prefs', 'owner')
if header.err then return {'unreadable', header.err} end
local waiting = redis.pcall('HLEN', KEYS[2])
if type(waiting) == 'table' then return {'unreadable', 'inbox: ' .. waiting.err} end
local owner = header[3] or ''
local node = string.match(owner, '^([^:]+):')
local alive = false
if node then
  local until_ms = redis.call('HGET', KEYS[3] .. node, 'until')
  local time = redis.call('TIME')
  alive = until_ms and tonumber(until_ms) > time[1] * 1000 + math.floor(time[2] / 1000)
end
return {'door', header[1] or '0', header[2] or '0', waiting, alive and owner or ''}
