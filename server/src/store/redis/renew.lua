#!lua
-- A node's sign of life. KEYS: the node's hash, the set of nodes, the world. ARGV: the node's id, its boot, the lease in ms
-- (0: it signs off), '1' when it signs on, the run of Redis for which it has looked at all it has, this run of Redis.
-- Answers 'held', 'lapsed' or 'superseded'.
local was = redis.call('HMGET', KEYS[1], 'boot', 'until')
if ARGV[4] ~= '1' and was[1] and was[1] ~= ARGV[2] then return 'superseded' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = tonumber(ARGV[3])
-- A run is known from the first sign of life in it at the latest: whoever hears the answer knows when nobody can take anything
-- back any more.
local world = redis.call('HMGET', KEYS[3], 'id', 'run', 'since')
if world[1] then is_fresh(KEYS[3], world, ARGV[6], now, lease) end
-- Whole milliseconds, far below the numbers that a double cannot hold.
local till = lease > 0 and string.format('%.0f', now + lease) or '0'
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 'boot', ARGV[2], 'until', till, 'checked', ARGV[5])
if was[1] == ARGV[2] and tonumber(was[2]) >= now then return 'held' end
return 'lapsed'
