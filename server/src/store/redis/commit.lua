#!lua
-- Writes a batch, whole or not at all.
-- KEYS: for each player its hash and its ledger; then for each step of an inbox that inbox; then for each answer to an order
--       where it is kept; then, where something is bought, what the keys of stocks, of holds and of holders' holds begin
--       with, and the audit of all SKUs.
-- ARGV: the batch id, how many players, how many steps of inboxes, for how many ms answers are kept, how many
--       answers; then for each player:
--       owner, base revision, new revision, '1' to release, ledger entries ('' for none), how many arguments to set, how many
--       to delete, the base's writer ('' where unknown), the id from which on the ledger is kept ('' for all of it), the last
--       request number, when, those to set (field, value, …), those to delete; then for each step of an inbox: the number of the player whose write it is
--       part of, the gift, and what is put ('' takes it); then for each answer: the number of its player, the order's hash,
--       the answer; then for each purchase: the number of its player, that player, its owner, the hold, the SKU.
-- Answers {batch id, 'applied' | 'already'} or {batch id, 'fenced' | 'regressed' | 'conflict', {player number, …}}.
-- A script that fails halfway does not take back what it wrote: so everything is read and compared first, the one write
-- that can fail on a damaged key, to a stream, comes next and is taken back, and what then follows cannot fail.
local batch, last = ARGV[1], 2 * ARGV[2]
local inboxes = last + ARGV[3]
local answers = inboxes + ARGV[5]
local fenced, regressed, conflict = {}, {}, {}
local at = 6
for i = 1, last, 2 do
  local player = (i + 1) / 2
  local header = redis.pcall('HMGET', KEYS[i], 'owner', 'rev', 'batch', 'writer')
  if header.err or header[1] ~= ARGV[at] then
    -- Whoever put something else there is the owner now.
    fenced[#fenced + 1] = player
  else
    local rev, base = header[2] or '0', ARGV[at + 1]
    if rev ~= base then
      local stored = tonumber(rev)
      if stored and stored < tonumber(base) then
        regressed[#regressed + 1] = player
      else
        conflict[#conflict + 1] = player
      end
    elseif header[4] and ARGV[at + 7] ~= '' and header[4] ~= ARGV[at + 7] then
      -- The same number in another history.
      conflict[#conflict + 1] = player
    end
  end
  -- Only a ledger that is one can be cut.
  if ARGV[at + 8] ~= '' and type(redis.pcall('XLEN', KEYS[i + 1])) == 'table' then fenced[#fenced + 1] = player end
  if not header.err and header[3] == batch then return {batch, 'already'} end
  at = at + 11 + ARGV[at + 5] + ARGV[at + 6]
end
local steps = at
for i = last + 1, answers do
  local there = redis.pcall('HEXISTS', KEYS[i], ARGV[at + 1])
  if type(there) == 'table' then
    -- What is no inbox, or no answer, takes nothing: whoever would put there cannot be written.
    fenced[#fenced + 1] = tonumber(ARGV[at])
  elseif i <= inboxes and there == 0 and ARGV[at + 2] == '' then
    -- What is taken must be there: its putting was lost, and is to be written again first.
    regressed[#regressed + 1] = tonumber(ARGV[at])
  end
  at = at + 3
end
local shop
if #KEYS > answers then
  shop = open_shop({stock = KEYS[answers + 1], hold = KEYS[answers + 2], holds = KEYS[answers + 3], audit = KEYS[answers + 4]}, '')
  for i = at, #ARGV, 5 do
    -- What cannot be read cannot be paid for either. Of what can, only the plan is made here.
    local read, paid = pcall(shop.pay, unpack(ARGV, i + 1, i + 4))
    if not read and type(paid) ~= 'table' then error(paid, 0) end
    if not read or not paid then regressed[#regressed + 1] = tonumber(ARGV[i]) end
  end
end
local purchases = at
if #fenced > 0 then return {batch, 'fenced', fenced} end
if #regressed > 0 then return {batch, 'regressed', regressed} end
if #conflict > 0 then return {batch, 'conflict', conflict} end

local added = {}
local function take_back()
  for _, entry in ipairs(added) do redis.pcall('XDEL', entry[1], entry[2]) end
end
at = 6
for i = 1, last, 2 do
  if ARGV[at + 4] ~= '' then
    local id = redis.pcall('XADD', KEYS[i + 1], '*', 'r', ARGV[at + 2], 'e', ARGV[at + 4])
    if type(id) == 'table' then
      take_back()
      return {batch, 'fenced', {(i + 1) / 2}}
    end
    added[#added + 1] = {KEYS[i + 1], id}
  end
  at = at + 11 + ARGV[at + 5] + ARGV[at + 6]
end
if shop then
  local written, why = pcall(shop.write)
  if not written and why[1] ~= 'unreadable' then error(why, 0) end
  if not written then
    -- An audit that takes nothing: nothing of the shop was written.
    take_back()
    return {batch, 'fenced', {tonumber(ARGV[purchases])}}
  end
end

-- The Lua stack is bounded: long lists go in pieces of an even number of arguments.
local PIECE = 500
local function pieces(command, key, from, to)
  while from <= to do
    local piece = math.min(from + PIECE - 1, to)
    redis.call(command, key, unpack(ARGV, from, piece))
    from = piece + 1
  end
end

at = 6
for i = 1, last, 2 do
  local set, del = at + 11, at + 11 + ARGV[at + 5]
  local first = math.min(set + PIECE, del)
  redis.call('HSET', KEYS[i], 'batch', batch, 'rev', ARGV[at + 2], 'seq', ARGV[at + 9], 'saved_at', ARGV[at + 10],
    unpack(ARGV, set, first - 1))
  pieces('HSET', KEYS[i], first, del - 1)
  pieces('HDEL', KEYS[i], del, del + ARGV[at + 6] - 1)
  if ARGV[at + 3] == '1' then redis.call('HDEL', KEYS[i], 'owner') end
  if ARGV[at + 8] ~= '' then redis.call('XTRIM', KEYS[i + 1], 'MINID', ARGV[at + 8]) end
  at = del + ARGV[at + 6]
end
at = steps
for i = last + 1, inboxes do
  if ARGV[at + 2] == '' then
    redis.call('HDEL', KEYS[i], ARGV[at + 1])
  else
    redis.call('HSET', KEYS[i], ARGV[at + 1], ARGV[at + 2])
  end
  at = at + 3
end
for i = inboxes + 1, answers do
  -- The first answer stays.
  if redis.call('HSETNX', KEYS[i], 'order', ARGV[at + 1]) == 1 then
    redis.call('HSET', KEYS[i], 'answer', ARGV[at + 2])
    redis.call('PEXPIRE', KEYS[i], ARGV[4])
  end
  at = at + 3
end
return {batch, 'applied'}
