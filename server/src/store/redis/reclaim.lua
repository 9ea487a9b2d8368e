#!lua
-- Gives an owner back what a restarted Redis forgot: only where the player still stands at the revision that was looked
-- at and nobody was given a later epoch; and only for a lease after the restart from another node that Redis knows as the
-- owner, because that one may be serving the player then.
-- KEYS: the player's hash, the world. ARGV: the token, its epoch, the revision, this node's id, the lease in ms, this run of
-- Redis. Answers 1 where the token is the owner's afterwards.
local header = redis.pcall('HMGET', KEYS[1], 'owner', 'epoch', 'rev')
if header.err then return 0 end
if header[1] == ARGV[1] then return 1 end
if (header[3] or '0') ~= ARGV[3] then return 0 end
local epoch = tonumber(header[2] or '0')
if not epoch or epoch >= tonumber(ARGV[2]) then return 0 end
if header[1] and string.match(header[1], '^[^:]*') ~= ARGV[4] then
  local world = redis.call('HMGET', KEYS[2], 'id', 'run', 'since')
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if not world[1] or not is_fresh(KEYS[2], world, ARGV[6], now, tonumber(ARGV[5])) then return 0 end
end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'epoch', ARGV[2])
return 1
