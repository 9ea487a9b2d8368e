#!lua
-- Takes the right to write a player and reads all of it.
-- KEYS: the player's hash, its ledger, the world, the set of nodes, the prefix of the nodes' keys, and the player's inbox.
-- ARGV: the world id, this node's id, its boot, the lease in ms, how many ledger items to read back, this run of Redis.
-- Answers {'loaded', token, fields and values, ledger items newest first, '1' where something waits in the inbox or it cannot
-- be told}, {'held', token}, {'unsettled'}, {'unreadable', why} or {'world'}.
local NUMBER_MAX = 9007199254740991
-- How long ago a node may have been heard of last and still have something to send again.
local MEMORY_MS = 60000
local me, lease, run = ARGV[2], tonumber(ARGV[4]), ARGV[6]
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)

local world = redis.call('HMGET', KEYS[3], 'id', 'run', 'since', 'settled')
if world[1] ~= ARGV[1] then return {'world'} end
local header = redis.pcall('HMGET', KEYS[1], 'owner', 'rev', 'epoch')
if header.err then return {'unreadable', header.err} end
local recent = redis.pcall('XREVRANGE', KEYS[2], '+', '-', 'COUNT', ARGV[5])
if recent.err then return {'unreadable', 'ledger: ' .. recent.err} end
for _, field in ipairs({2, 3}) do
  if header[field] and not string.match(header[field], '^%d+$') then return {'unreadable', 'a number of its header is none'} end
end
local epoch = tonumber(header[3] or '0') + 1
if epoch > NUMBER_MAX then return {'unreadable', 'its epoch is too large'} end

-- A run that was not known before: Redis was restarted, or another one has taken its place, and may have lost something.
local since = tonumber(world[3])
if world[2] ~= run then
  since = now
  redis.call('HSET', KEYS[3], 'run', run, 'since', string.format('%.0f', now))
end
local fresh = now - since < lease
if world[4] ~= run then
  -- Before anybody is given a player, every node that may own it without Redis's knowledge says that it has looked.
  for _, node in ipairs(fresh and redis.call('SMEMBERS', KEYS[4]) or {}) do
    local sign = redis.call('HMGET', KEYS[5] .. node, 'until', 'checked')
    if node ~= me and sign[2] ~= run and (tonumber(sign[1]) or 0) > since - MEMORY_MS then return {'unsettled'} end
  end
  redis.call('HSET', KEYS[3], 'settled', run)
end

local owner = header[1]
if owner then
  local node, boot = string.match(owner, '^([^:]+):(%x+):%d+$')
  if not node then return {'unreadable', 'its owner is no token'} end
  if node ~= me then
    local sign = redis.call('HMGET', KEYS[5] .. node, 'boot', 'until')
    -- A node that has started again since says itself that its earlier boots are dead, and one that has signed off (0), that
    -- it has nothing. In a fresh run everybody else gets the time of a lease to come back and to send what was lost.
    if (not sign[1] or sign[1] == boot) and sign[2] ~= '0' then
      if fresh or (sign[2] and tonumber(sign[2]) > now) then return {'held', owner} end
    end
  end
end

-- Epochs grow with the clock, so that none is given twice, not even where the first time was forgotten. Whole numbers that a
-- double holds, written without an exponent.
epoch = string.format('%.0f', math.max(epoch, now_us))
local token = me .. ':' .. ARGV[3] .. ':' .. epoch
redis.call('HSET', KEYS[1], 'owner', token, 'epoch', epoch)
return {'loaded', token, redis.call('HGETALL', KEYS[1]), recent, redis.pcall('HLEN', KEYS[6]) == 0 and '0' or '1'}
