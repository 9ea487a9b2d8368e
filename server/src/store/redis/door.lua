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
local node, boot = string.match(owner, '^([^:]+):(%x+):')
local alive = false
if node then
  local sign = redis.call('HMGET', KEYS[3] .. node, 'boot', 'until')
  local time = redis.call('TIME')
  alive = sign[1] == boot and tonumber(sign[2] or '0') > time[1] * 1000 + math.floor(time[2] / 1000)
end
return {'door', header[1] or '0', header[2] or '0', waiting, alive and owner or ''}
