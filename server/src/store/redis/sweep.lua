#!lua
-- Lets go of what has run out on one SKU, and undoes claims under tokens that can write nothing any more.
-- KEYS: what the keys of stocks, of holds, of holders' holds, of players and of nodes begin with; the audit of all SKUs, the
--       world.
-- ARGV: the world id, this node's id, its boot, the lease in ms, this run of Redis, the SKU; then claimed holds on it.
-- Answers {'ok', how many ran out, how many claims were undone, '1' where more may have run out, and for each claim of this
-- boot that stands its hold, attempt, player and token}, {'unreadable', why} or {'world'}.
local me, boot, lease, run, sku = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6]

return answer_of(function()
  local world = redis.call('HMGET', KEYS[7], 'id', 'run', 'since')
  if world[1] ~= ARGV[1] then return {'world'} end
  local shop = open_shop({stock = KEYS[1], hold = KEYS[2], holds = KEYS[3], audit = KEYS[6]}, '')
  local fresh = is_fresh(KEYS[7], world, run, shop.now, lease)

  local function is_mine(token)
    local node, of = string.match(token, '^([^:]+):(%x+):%d+$')
    return node == me and of == boot
  end

  -- Whether whoever has this token may still write under it. Of what is no token nobody can tell.
  local function stands(token)
    local node, of = string.match(token, '^([^:]+):(%x+):%d+$')
    if not node then return true end
    if node == me then return of == boot end
    return may_serve(KEYS[5] .. node, of, fresh, shop.now)
  end

  local undone, mine = 0, {}
  for i = 7, #ARGV do
    local hold = shop.hold(ARGV[i])
    if hold and hold.state == 'claimed' and hold.player then
      local is_owner = shop.read('HGET', KEYS[4] .. hold.player, 'owner') == hold.owner
      if not is_owner or not stands(hold.owner) then
        if is_owner then shop.plan('HDEL', KEYS[4] .. hold.player, 'owner') end
        shop.unclaim(hold)
        undone = undone + 1
      elseif is_mine(hold.owner) then
        mine[#mine + 1] = {hold.id, hold.claim, hold.player, hold.owner}
      end
    end
  end
  shop.write()
  local expired, more = shop.expire(sku)
  return {'ok', expired, undone, more and '1' or '0', mine}
end)
