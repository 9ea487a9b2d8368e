#!lua
-- Puts a SKU where there is none, whole.
-- KEYS: its stock, its open holds by expiry, who has how many units, its audit, the audit of all SKUs, the set of SKUs; then for
--       each hold its hash and its holder's open holds.
-- ARGV: how many arguments the stock has, those (field, value, …); how many the units have, those (player, units, …); for
--       each hold its id, its expiry where it is open ('' where it is not), how many arguments it has, those (field, value,
--       …); then for each entry of the audit, the oldest first, how many arguments it has, and those. First the SKU.
-- Answers {'ok'}, {'exists'} or {'unreadable', why}; the writes that can fail come first and are taken back.
if redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3], KEYS[4]) > 0 then return {'exists'} end
for i = 7, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[i]) == 1 then return {'exists'} end
  local open = redis.pcall('SCARD', KEYS[i + 1])
  if type(open) == 'table' then return {'unreadable', KEYS[i + 1] .. ': ' .. open.err} end
end
local is_sku = redis.pcall('SISMEMBER', KEYS[6], ARGV[1])
if type(is_sku) == 'table' then return {'unreadable', KEYS[6] .. ': ' .. is_sku.err} end

-- The next list of arguments: where it begins and ends.
local at = 2
local function list()
  local first = at + 1
  at = first + ARGV[at]
  return first, at - 1
end

local stock, stock_end = list()
local units, units_end = list()
local holds = at
for _ = 7, #KEYS, 2 do
  at = at + 2
  list()
end
local added = {}
while at <= #ARGV do
  local first, last = list()
  for _, key in ipairs({KEYS[5], KEYS[4]}) do
    local id = redis.pcall('XADD', key, '*', unpack(ARGV, first, last))
    if type(id) == 'table' then
      for _, one in ipairs(added) do redis.call('XDEL', one[1], one[2]) end
      return {'unreadable', key .. ': ' .. id.err}
    end
    added[#added + 1] = {key, id}
  end
end

redis.call('HSET', KEYS[1], unpack(ARGV, stock, stock_end))
for i = units, units_end, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
at = holds
for i = 7, #KEYS, 2 do
  local id, expires = ARGV[at], ARGV[at + 1]
  at = at + 2
  redis.call('HSET', KEYS[i], unpack(ARGV, list()))
  if expires ~= '' then
    redis.call('ZADD', KEYS[2], expires, id)
    redis.call('SADD', KEYS[i + 1], id)
  end
end
redis.call('SADD', KEYS[6], ARGV[1])
return {'ok'}
