#!lua
-- Takes the right to write a player and reads all of it.
-- KEYS: the player's hash, its ledger, the world, the prefix of the nodes' keys, and the player's inbox.
-- ARGV: the world id, this node's id, its boot, the lease in ms, how many ledger items to read back.
-- Answers {'loaded', token, fields and values, ledger items newest first, '1' where something waits in the
-- inbox or it cannot be told}, {'held', token}, {'unreadable', why} or {'world'}.
if redis.call('HGET', KEYS[3], 'id') ~= ARGV[1] then return {'world'} end
local header = redis.pcall('HMGET', KEYS[1], 'owner', 'rev', 'epoch')
if header.err then return {'unreadable', header.err} end
local recent = redis.pcall('XREVRANGE', KEYS[2], '+', '-', 'COUNT', ARGV[5])
if recent.err then return {'unreadable', 'ledger: ' .. recent.err} end
for _, field in ipairs({2, 3}) do
  if header[field] and not string.match(header[field], '^%d+$') then return {'unreadable', 'a number of its header is none'} end
end

local owner = header[1]
if owner then
  local node, boot = string.match(owner, '^([^:]+):(%x+):%d+$')
  if not node then return {'unreadable', 'its owner is no token'} end
  if node ~= ARGV[2] then
    local sign = redis.call('HMGET', KEYS[4] .. node, 'boot', 'until')
    -- A node that has started again since says itself that its earlier boots are dead.
    if not sign[1] or sign[1] == boot then
      local time = redis.call('TIME')
      local now = time[1] * 1000 + math.floor(time[2] / 1000)
      if sign[2] and tonumber(sign[2]) > now then return {'held', owner} end
      -- After a restart of Redis every node looks dead: each gets the time of a lease to come back and to send what was
      -- lost, before anybody builds on it.
      local uptime = string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)')
      if tonumber(uptime) * 1000 <= tonumber(ARGV[4]) then return {'held', owner} end
    end
  end
end

local epoch = redis.pcall('HINCRBY', KEYS[1], 'epoch', 1)
if type(epoch) == 'table' then return {'unreadable', 'epoch: ' .. epoch.err} end
-- Read back as text: a number in Lua may not be written as it came.
local token = ARGV[2] .. ':' .. ARGV[3] .. ':' .. redis.call('HGET', KEYS[1], 'epoch')
redis.call('HSET', KEYS[1], 'owner', token)
return {'loaded', token, redis.call('HGETALL', KEYS[1]), recent, redis.pcall('HLEN', KEYS[5]) == 0 and '0' or '1'}
