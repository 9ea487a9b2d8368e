#!lua
-- Puts a player with its ledger where there is none. KEYS: its hash, its ledger. ARGV: how many arguments to set, those
-- (field, value, …), then for each ledger item its newest revision and its entries. Answers 1, or 0 where there is one.
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then return 0 end
local PIECE = 500
local from, to = 2, 1 + ARGV[1]
while from <= to do
  local last = math.min(from + PIECE - 1, to)
  redis.call('HSET', KEYS[1], unpack(ARGV, from, last))
  from = last + 1
end
for i = to + 1, #ARGV, 2 do redis.call('XADD', KEYS[2], '*', 'r', ARGV[i], 'e', ARGV[i + 1]) end
return 1
