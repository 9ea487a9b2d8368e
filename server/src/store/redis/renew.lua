#!lua
-- A node's sign of life. KEYS: the node's hash. ARGV: its boot, the lease in ms (0: it signs off), '1' when it signs on.
-- Answers 'held', 'lapsed' or 'superseded'.
local was = redis.call('HMGET', KEYS[1], 'boot', 'until')
if ARGV[3] ~= '1' and was[1] and was[1] ~= ARGV[1] then return 'superseded' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Whole milliseconds, far below the numbers that a double cannot hold.
redis.call('HSET', KEYS[1], 'boot', ARGV[1], 'until', string.format('%.0f', now + ARGV[2]))
if was[1] == ARGV[1] and tonumber(was[2]) >= now then return 'held' end
return 'lapsed'
