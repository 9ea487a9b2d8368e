#!lua
-- Puts a player with its inbox and ledger where there is none. KEYS: its hash, its ledger, its inbox. ARGV: how many
-- arguments to set, those (field, value, …), how many of the inbox, those (gift, content, …), then for each ledger item its
-- newest revision and its entries. Answers 1, or 0 where there is one.
if redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) > 0 then return 0 end
local PIECE = 500
local function set(key, from, to)
  while from <= to do
    local piece = math.min(from + PIECE - 1, to)
    redis.call('HSET', key, unpack(ARGV, from, piece))
    from = piece + 1
  end
end
local fields = 2 + ARGV[1]
local gifts = fields + ARGV[fields]
set(KEYS[1], 2, fields - 1)
set(KEYS[3], fields + 1, gifts)
for i = gifts + 1, #ARGV, 2 do redis.call('XADD', KEYS[2], '*', 'r', ARGV[i], 'e', ARGV[i + 1]) end
return 1
