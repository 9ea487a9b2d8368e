#!lua
-- Does one deed of the shop, or only looks; lets go first of what has run out on its SKU.
-- KEYS: what the keys of stocks, of holds, of holders' holds and of players begin with; the audit of all SKUs, the set of SKUs,
--       the world; and where the answer is kept, if it is.
-- ARGV: the world id, the verb, what was asked for as a hash, for how many ms the answer is kept, why ('' for no reason); then
--       what the verb needs.
-- Answers what came of it, and what has happened to stocks: for each change its name and how often. What came of it is
-- {'ok', names and values}, the same as the first time where the answer was kept; {'no', code, numbers …}; {'more'}
-- where it is to be called again, because there was more to let go of than one call may; {'unreadable', why} or {'world'}.
-- Everything is read and compared first; what is then written cannot fail.
local names = {stock = KEYS[1], hold = KEYS[2], holds = KEYS[3], audit = KEYS[5]}
local kept_at, hash = KEYS[8], ARGV[3]
local acts = {}
local shop

local function no(...) error({'no', ...}, 0) end

-- A stock that is there.
local function known(sku) return shop.stock(sku) or no('no_such_sku') end

local function existing(id) return shop.hold(id) or no('no_such_reservation') end

-- A hold that can be confirmed, released or claimed now.
local function active(id)
  local hold = existing(id)
  shop.clear(hold.sku)
  if hold.state == 'claimed' then no('claimed') end
  if hold.state ~= 'active' then no('not_active', hold.state) end
  return hold
end

local function done_with(stock, event, quantity)
  shop.change(stock)
  shop.note_stock(event, stock, quantity)
  return shop.told_stock(stock)
end

local function ended(hold, state, event)
  shop.finish(hold, state, event)
  return shop.told_hold(hold)
end

-- there: what if the SKU exists: 'leave', 'reset' or 'force'.
function acts.seed(sku, quantity, total_max, there)
  if tonumber(quantity) > tonumber(total_max) then no('too_large') end
  shop.clear(sku)
  local stock = shop.stock(sku)
  if stock then
    if there == 'leave' then return shop.told_stock(stock) end
    if there == 'reset' and stock.holds > 0 then no('holds_open', string.format('%.0f', stock.holds)) end
    if shop.read('ZCARD', KEYS[1] .. sku .. ':claims') > 0 then no('claimed') end
    for _, id in ipairs(shop.read('ZRANGE', KEYS[1] .. sku .. ':active', 0, -1)) do
      local hold = shop.hold(id)
      if not hold or hold.state ~= 'active' or hold.sku ~= sku then shop.unreadable(id .. ' is not active') end
      shop.finish(hold, 'released', 'release')
    end
    if stock.holds > 0 then shop.unreadable('open holds of ' .. sku .. ' are missing') end
  end
  shop.read('SISMEMBER', KEYS[6], sku)
  shop.plan('DEL', KEYS[1] .. sku .. ':holders')
  shop.plan('SADD', KEYS[6], sku)
  local units = tonumber(quantity)
  return done_with({sku = sku, total = units, available = units, reserved = 0, confirmed = 0, holds = 0}, 'seed', units)
end

function acts.restock(sku, quantity, total_max)
  shop.clear(sku)
  local stock, units = known(sku), tonumber(quantity)
  if stock.total + units > tonumber(total_max) then no('too_large') end
  stock.total, stock.available = stock.total + units, stock.available + units
  return done_with(stock, 'restock', units)
end

-- units_max: how many a player may have, '' for any number.
function acts.hold(sku, id, holder, quantity, time, terms, holds_max, units_max)
  shop.clear(sku)
  local stock, units = known(sku), tonumber(quantity)
  local holds = shop.read('SCARD', KEYS[3] .. holder)
  if holds >= tonumber(holds_max) then no('too_many_holds', tostring(holds)) end
  if units > stock.available then no('insufficient', string.format('%.0f', stock.available)) end
  local player = string.match(holder, '^player:(.+)$')
  if player then
    local has = shop.units(sku, player)
    if units_max ~= '' and has + units > tonumber(units_max) then no('too_many_units', string.format('%.0f', has)) end
    shop.set_units(sku, player, has + units)
  end
  stock.available, stock.reserved, stock.holds = stock.available - units, stock.reserved + units, stock.holds + 1
  shop.change(stock)
  local hold = {id = id, sku = sku, holder = holder, player = player, quantity = units, time = tonumber(time), terms = terms}
  shop.make(hold)
  return shop.told_hold(hold)
end

function acts.confirm(id)
  local hold = active(id)
  if hold.player then no('players') end
  return ended(hold, 'confirmed', 'confirm')
end

-- player: whose it must be, '' for anybody's.
function acts.release(id, player)
  if player ~= '' and existing(id).player ~= player then no('no_such_reservation') end
  return ended(active(id), 'released', 'release')
end

function acts.claim(id, player, claim, owner)
  local hold = existing(id)
  if hold.player ~= player then no('no_such_reservation') end
  if shop.read('HGET', KEYS[4] .. player, 'owner') ~= owner then no('not_owner') end
  if hold.state == 'claimed' and hold.owner ~= owner then
    -- Under another token nobody can write this player any more.
    shop.unclaim(hold)
    shop.write()
  end
  if hold.state ~= 'claimed' or hold.claim ~= claim then shop.claim(active(id), claim, owner) end
  return shop.told_hold(hold)
end

function acts.unclaim(id, claim)
  local hold = existing(id)
  shop.clear(hold.sku)
  if hold.state == 'claimed' and hold.claim == claim then
    shop.unclaim(hold)
    shop.write()
    if hold.expires_at <= shop.now then return ended(hold, 'expired', 'expired') end
  end
  return shop.told_hold(hold)
end

-- Stocks as they are now; of one that is not there, nothing.
function acts.stocks(...)
  local told = {}
  for i, sku in ipairs({...}) do
    shop.clear(sku)
    local stock = shop.stock(sku)
    told[i] = stock and shop.told_stock(stock) or {}
  end
  return told
end

function acts.reservation(id)
  local hold = shop.hold(id)
  if not hold then return {} end
  shop.clear(hold.sku)
  return shop.told_hold(hold)
end

-- All that there is of a SKU at this moment, where nothing is let go of: the stock, its open holds, who has how many units.
function acts.book(sku)
  local stock = shop.stock(sku)
  if not stock then return {} end
  local holds = {}
  for _, list in ipairs({':active', ':claims'}) do
    for _, id in ipairs(shop.read('ZRANGE', KEYS[1] .. sku .. list, 0, -1)) do
      holds[#holds + 1] = shop.told_hold(existing(id))
    end
  end
  return {shop.told_stock(stock), holds, shop.read('HGETALL', KEYS[1] .. sku .. ':holders')}
end

-- Holds as they are kept, where nothing is let go of.
function acts.holds(...)
  local told = {}
  for i, id in ipairs({...}) do
    local hold = shop.hold(id)
    told[i] = hold and shop.told_hold(hold) or {}
  end
  return told
end

local answer = answer_of(function()
  if redis.call('HGET', KEYS[7], 'id') ~= ARGV[1] then return {'world'} end
  shop = open_shop(names, ARGV[5])
  if kept_at then
    local kept = shop.read('HMGET', kept_at, 'order', 'done')
    if kept[1] and (kept[1] ~= hash or not kept[2]) then no('key_taken') end
    if kept[1] then return {'ok', redis.call('HGETALL', kept_at)} end
  end
  local told = acts[ARGV[2]](unpack(ARGV, 6))
  if kept_at then
    shop.plan('HSET', kept_at, 'order', hash, unpack(told))
    shop.plan('PEXPIRE', kept_at, ARGV[4])
  end
  shop.write()
  return {'ok', told}
end)

return {answer, shop and shop.happened or {}}
