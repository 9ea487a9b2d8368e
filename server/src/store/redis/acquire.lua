#!lua
-- Takes the right to write a player and reads all of it.
-- KEYS: the player's hash, its ledger, the world, the set of nodes, the prefix of the nodes' keys, the player's inbox and open
-- holds, and the prefix of the holds' keys.
-- ARGV: the world id, this node's id, its boot, the lease in ms, how many ledger items to read back, this run of Redis.
-- Answers {'loaded', token, fields and values, ledger items newest first, '1' where something waits in the inbox or it cannot
-- be told, {the fields and values of an open hold, …}}, {'held', token}, {'unsettled'}, {'unreadable', why} or {'world'}.
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

local fresh, since = is_fresh(KEYS[3], world, run, now, lease)
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
  if node ~= me and may_serve(KEYS[5] .. node, boot, fresh, now) then return {'held', owner} end
end

-- Epochs grow with the clock, so that none is given twice, not even where the first time was forgotten. Whole numbers that a
-- double holds, written without an exponent.
epoch = string.format('%.0f', math.max(epoch, now_us))
local token = me .. ':' .. ARGV[3] .. ':' .. epoch
redis.call('HSET', KEYS[1], 'owner', token, 'epoch', epoch)
local has_mail = redis.pcall('HLEN', KEYS[6]) ~= 0
-- A hold that cannot be read keeps nobody from playing: the shop says so where it is asked about it.
local ids, holds = redis.pcall('SMEMBERS', KEYS[7]), {}
for _, id in ipairs(ids) do
  local hold = redis.pcall('HGETALL', KEYS[8] .. id)
  if not hold.err then
    hold[#hold + 1] = 'id'
    hold[#hold + 1] = id
    holds[#holds + 1] = hold
  end
end
return {'loaded', token, redis.call('HGETALL', KEYS[1]), recent, has_mail and '1' or '0', holds}
