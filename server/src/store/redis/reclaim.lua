#!lua
-- Gives an owner back what a restarted Redis forgot: only where the player still stands at the revision
-- that was looked at and nobody was given a later epoch.
-- KEYS: the player's hash. ARGV: the token, its epoch, the revision. Answers 1 where the token is the owner's afterwards.
local header = redis.pcall('HMGET', KEYS[1], 'owner', 'epoch', 'rev')
if header.err then return 0 end
if header[1] == ARGV[1] then return 1 end
if (header[3] or '0') ~= ARGV[3] then return 0 end
local epoch = tonumber(header[2] or '0')
if not epoch or epoch >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'epoch', ARGV[2])
return 1
