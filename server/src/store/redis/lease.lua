-- Who may still be serving players, for scripts that begin with this part.

-- Whether Redis has been running for less than a lease, as far as is known, and since when it is known to, in ms. A run that
-- was not known before is known from now on: Redis was restarted, or another one has taken its place, and may have lost
-- something. world: the world's id, run and since.
local function is_fresh(key, world, run, now, lease)
  local since = tonumber(world[3])
  if world[2] ~= run then
    since = now
    redis.call('HSET', key, 'run', run, 'since', string.format('%.0f', now))
  end
  return now - since < lease, since
end

-- Whether this boot of another node may still be serving its players.
local function may_serve(node, boot, fresh, now)
  local sign = redis.call('HMGET', node, 'boot', 'until')
  -- A node that has started again since says itself that its earlier boots are dead, and one that has signed off (0), that
  -- it has nothing. In a fresh run everybody else gets the time of a lease to come back and to send what was lost.
  if (sign[1] and sign[1] ~= boot) or sign[2] == '0' then return false end
  return fresh or (sign[2] and tonumber(sign[2]) > now)
end
