-- The books of the shop, for scripts that begin with this part: what is read of stocks and holds is kept and changed here, and
-- written at the end, when nothing can be refused any more.
-- names: what the names of keys begin with: of a stock, of a hold, of a holder's holds; and the audit of all SKUs.
-- What cannot be read ends the script by an error that is its answer, {'unreadable', why}, before anything is written.
local function open_shop(names, why)
  local NUMBER_MAX = 9007199254740991
  local COLUMNS = {'total', 'available', 'reserved', 'confirmed', 'holds', 'updated_at'}
  local FIELDS = {'sku', 'quantity', 'holder', 'state', 'expires_at', 'created_at', 'updated_at', 'terms', 'claim', 'owner'}
  local STATES = {active = true, claimed = true, confirmed = true, released = true, expired = true}
  -- Holds that run out in one call, so that nobody waits long.
  local EXPIRED_MAX = 128
  local time = redis.call('TIME')
  local shop = {now = time[1] * 1000 + math.floor(time[2] / 1000)}
  local stocks, holds, counts = {}, {}, {}
  local changed, audits, commands = {}, {}, {}
  -- How often what has happened: names and counts.
  shop.happened = {}

  -- A whole number that a double holds, without an exponent.
  local function digits(number) return string.format('%.0f', number) end

  function shop.unreadable(reason) error({'unreadable', reason}, 0) end

  -- Reads what only a damaged key refuses.
  function shop.read(command, key, ...)
    local found = redis.pcall(command, key, ...)
    if type(found) == 'table' and found.err then shop.unreadable(key .. ': ' .. found.err) end
    return found
  end

  local function number(text, of)
    local value = text and #text <= 16 and string.match(text, '^%d+$') and tonumber(text)
    if not value or value > NUMBER_MAX then shop.unreadable(of .. ' is no number that fits') end
    return value
  end

  -- Something to be written, by a command that nothing can make fail.
  function shop.plan(...) commands[#commands + 1] = {...} end

  -- A stock, or false.
  function shop.stock(sku)
    if stocks[sku] == nil then
      local found = shop.read('HMGET', names.stock .. sku, unpack(COLUMNS))
      local stock = found[1] and {sku = sku}
      for i, column in ipairs(COLUMNS) do
        if stock then
          stock[column] = number(found[i], column .. ' of ' .. sku)
        elseif found[i] then
          shop.unreadable(sku .. ' has no total')
        end
      end
      if stock and stock.available + stock.reserved + stock.confirmed ~= stock.total then
        shop.unreadable('the units of ' .. sku .. ' do not add up')
      end
      stocks[sku] = stock
    end
    return stocks[sku]
  end

  -- Lets a stock be written as it is by then.
  function shop.change(stock)
    stock.updated_at = shop.now
    stocks[stock.sku], changed[stock.sku] = stock, stock
  end

  -- A hold, or false.
  function shop.hold(id)
    if holds[id] == nil then
      local found = shop.read('HMGET', names.hold .. id, unpack(FIELDS))
      local hold = found[1] and {id = id}
      for i, field in ipairs(FIELDS) do
        if hold then
          hold[field] = found[i]
        elseif found[i] then
          shop.unreadable(id .. ' is on no SKU')
        end
      end
      if hold then
        for _, field in ipairs({'quantity', 'expires_at', 'created_at', 'updated_at'}) do
          hold[field] = number(hold[field], field .. ' of ' .. id)
        end
        if not STATES[hold.state] then shop.unreadable(id .. ' is in no state') end
        if (hold.state == 'claimed') ~= (hold.claim ~= false and hold.owner ~= false) then
          shop.unreadable('who is paying for ' .. id .. ' is not clear')
        end
        local kind, holder = string.match(hold.holder or '', '^(%a+):(.+)$')
        if kind ~= 'player' and kind ~= 'cart' then shop.unreadable(id .. ' is nobody\'s') end
        hold.player = kind == 'player' and holder
      end
      holds[id] = hold
    end
    return holds[id]
  end

  -- How many units a player has held or bought.
  function shop.units(sku, player)
    local key = names.stock .. sku .. ':holders'
    local at = key .. ' ' .. player
    if not counts[at] then counts[at] = number(shop.read('HGET', key, player) or '0', 'the units of ' .. player) end
    return counts[at]
  end

  function shop.set_units(sku, player, units)
    local key = names.stock .. sku .. ':holders'
    counts[key .. ' ' .. player] = units
    if units > 0 then shop.plan('HSET', key, player, digits(units)) else shop.plan('HDEL', key, player) end
  end

  -- Time alone is why a hold ran out, whatever let go of it.
  local function note(event, sku, entry)
    if why ~= '' and event ~= 'expired' then
      entry[#entry + 1] = 'why'
      entry[#entry + 1] = why
    end
    entry[#entry + 1] = 'at'
    entry[#entry + 1] = digits(shop.now)
    audits[#audits + 1] = {names.stock .. sku .. ':audit', entry, event}
  end

  function shop.note_stock(event, stock, quantity)
    note(event, stock.sku, {'event', event, 'sku', stock.sku, 'quantity', digits(quantity)})
  end

  local function note_hold(event, hold)
    note(event, hold.sku, {'event', event, 'sku', hold.sku, 'quantity', digits(hold.quantity), 'reservation', hold.id, 'holder',
      hold.holder, 'state', hold.state})
  end

  -- Where the open holds of its SKU in its state are.
  local function list_of(hold) return names.stock .. hold.sku .. (hold.state == 'claimed' and ':claims' or ':active') end

  -- What makes a hold: it must have been asked for, and there must be room.
  function shop.make(hold)
    if shop.hold(hold.id) then shop.unreadable(hold.id .. ' was made before') end
    hold.state, hold.created_at, hold.updated_at = 'active', shop.now, shop.now
    hold.expires_at = math.min(shop.now + hold.time, NUMBER_MAX)
    hold.claim, hold.owner = false, false
    holds[hold.id] = hold
    local expires = digits(hold.expires_at)
    shop.plan('HSET', names.hold .. hold.id, 'sku', hold.sku, 'quantity', digits(hold.quantity), 'holder', hold.holder,
      'state', hold.state, 'expires_at', expires, 'created_at', digits(shop.now), 'updated_at', digits(shop.now),
      'terms', hold.terms)
    shop.plan('ZADD', list_of(hold), expires, hold.id)
    shop.plan('SADD', names.holds .. hold.holder, hold.id)
    note_hold('hold', hold)
  end

  -- The stock of an open hold, if it has its units.
  function shop.stock_of(hold)
    local stock = shop.stock(hold.sku)
    return stock and stock.reserved >= hold.quantity and stock.holds > 0 and stock
  end

  -- Ends an open hold: its units are gone for good if it is confirmed, else available again.
  function shop.finish(hold, state, event)
    local stock = shop.stock_of(hold)
    if not stock then shop.unreadable('the units of ' .. hold.sku .. ' are fewer than those of its holds') end
    local column = state == 'confirmed' and 'confirmed' or 'available'
    stock.reserved, stock.holds = stock.reserved - hold.quantity, stock.holds - 1
    stock[column] = stock[column] + hold.quantity
    shop.change(stock)
    if hold.player and column == 'available' then
      shop.set_units(hold.sku, hold.player, math.max(0, shop.units(hold.sku, hold.player) - hold.quantity))
    end
    shop.read('SISMEMBER', names.holds .. hold.holder, hold.id)
    shop.read('ZSCORE', list_of(hold), hold.id)
    shop.plan('ZREM', list_of(hold), hold.id)
    shop.plan('SREM', names.holds .. hold.holder, hold.id)
    hold.state, hold.updated_at, hold.claim, hold.owner = state, shop.now, false, false
    shop.plan('HSET', names.hold .. hold.id, 'state', state, 'updated_at', digits(shop.now))
    shop.plan('HDEL', names.hold .. hold.id, 'claim', 'owner')
    note_hold(event, hold)
  end

  -- Confirms a hold if this player can pay for it under this token, and says whether: it is claimed under it, or active again
  -- where the claim was lost.
  function shop.pay(player, owner, id, sku)
    local hold = shop.hold(id)
    if not hold or hold.player ~= player or hold.sku ~= sku or not shop.stock_of(hold) then return false end
    if hold.state ~= 'active' and (hold.state ~= 'claimed' or hold.owner ~= owner) then return false end
    shop.finish(hold, 'confirmed', 'confirm')
    return true
  end

  -- active → claimed, or back where there is no claim.
  local function move(hold, state, claim, owner)
    shop.read('ZCARD', list_of(hold))
    shop.plan('ZREM', list_of(hold), hold.id)
    hold.state, hold.claim, hold.owner, hold.updated_at = state, claim, owner, shop.now
    shop.read('ZCARD', list_of(hold))
    shop.plan('ZADD', list_of(hold), digits(hold.expires_at), hold.id)
    shop.plan('HSET', names.hold .. hold.id, 'state', state, 'updated_at', digits(shop.now))
    if claim then
      shop.plan('HSET', names.hold .. hold.id, 'claim', claim, 'owner', owner)
    else
      shop.plan('HDEL', names.hold .. hold.id, 'claim', 'owner')
    end
  end

  function shop.claim(hold, claim, owner) move(hold, 'claimed', claim, owner) end

  function shop.unclaim(hold) move(hold, 'active', false, false) end

  -- Writes what is planned. The one write that can fail, on a damaged audit, comes first and is taken back.
  function shop.write()
    local added = {}
    for _, entry in ipairs(audits) do
      for _, key in ipairs({entry[1], names.audit}) do
        local id = redis.pcall('XADD', key, '*', unpack(entry[2]))
        if type(id) == 'table' then
          for _, one in ipairs(added) do redis.call('XDEL', one[1], one[2]) end
          shop.unreadable(key .. ': ' .. id.err)
        end
        added[#added + 1] = {key, id}
      end
    end
    for sku, stock in pairs(changed) do
      local fields = {}
      for _, column in ipairs(COLUMNS) do
        fields[#fields + 1] = column
        fields[#fields + 1] = digits(stock[column])
      end
      redis.call('HSET', names.stock .. sku, unpack(fields))
    end
    for _, command in ipairs(commands) do redis.call(unpack(command)) end
    for _, entry in ipairs(audits) do
      shop.happened[#shop.happened + 1] = entry[3]
      shop.happened[#shop.happened + 1] = 1
    end
    changed, audits, commands = {}, {}, {}
  end

  -- Lets go of what has run out on a SKU, and writes that. Answers how many holds, and whether there may be more.
  function shop.expire(sku)
    local active = names.stock .. sku .. ':active'
    local due = shop.read('ZRANGEBYSCORE', active, '-inf', digits(shop.now), 'LIMIT', 0, EXPIRED_MAX)
    for _, id in ipairs(due) do
      local hold = shop.hold(id)
      if not hold or hold.state ~= 'active' or hold.sku ~= sku then shop.unreadable(id .. ' is not active') end
      shop.finish(hold, 'expired', 'expired')
    end
    if #due > 0 then shop.write() end
    return #due, #due == EXPIRED_MAX
  end

  -- The same; where there may be more, the script ends there, {'more'}, and is to be called again.
  function shop.clear(sku)
    local _, more = shop.expire(sku)
    if more then error({'more'}, 0) end
  end

  -- A stock or a hold as it is answered and kept: names and values.
  function shop.told_stock(stock)
    local told = {'done', 'stock', 'sku', stock.sku}
    for _, column in ipairs(COLUMNS) do
      told[#told + 1] = column
      told[#told + 1] = digits(stock[column])
    end
    return told
  end

  function shop.told_hold(hold)
    return {'done', 'reservation', 'id', hold.id, 'sku', hold.sku, 'quantity', digits(hold.quantity), 'holder', hold.holder,
      'state', hold.state, 'expires_at', digits(hold.expires_at), 'created_at', digits(hold.created_at), 'updated_at',
      digits(hold.updated_at), 'terms', hold.terms or ''}
  end

  return shop
end

-- What a script that works by a shop's books answers.
local function answer_of(work)
  local done, answer = pcall(work)
  if not done and type(answer) ~= 'table' then error(answer, 0) end
  return answer
end
