-- Commit a change whole, or not at all when one of its guards is not met any more.
-- KEYS[1]  prefix of the partition
-- ARGV[1]  msgpack: {guards, operations, whether to tell of deleted alerts}
--   guard      {hash key, field, expected text; "" = absent}, or
--              {"!unfinished", consumer group, entry}: no process has finished the message, or
--              {"!quiet", key of sources, "now_ns B"}: none of them fires; with B = 1 those are
--              left out that match both sides of their rule
--   operation  a Redis command as a list, or one of
--              {"!remove", group id, fingerprint, revision, fingerprint, revision, …}
--                 delete alerts unless they were pushed again meanwhile
--              {"!settle", group id, flush id, delivered ("1" or "0"), now ms}
--                 one more integration is done; the last one ends the flush: if all were delivered,
--                 resolved alerts are deleted; a tick that waited for it comes now
--              {"!next", group id, touched, due ms, now ms}
--                 set the timer of its next flush: now, if a push has touched it since
--              {"!changed", key of a hash, new version, limit, id, id, …}
--                 note that fields of a hash that processes keep a copy of have changed
--              {"!forget", key of sources, fingerprint, its value}
--                 delete a source of inhibition, unless it has changed
--              {"!prune", group id}
--                 delete a group without alerts
--              {"!finish", consumer group, entry, channel}
--                 a message of the outbox is done, unless another process has finished it
--              {"!postpone", consumer group, entry, message id, OutgoingMessage, due ms}
--                 it goes to the retries instead; it goes on counting as waiting
--              {"!take", consumer group, consumer, how many at most}
--                 read new messages of the outbox, as XREADGROUP does
-- Returns 0 a guard was not met, or where it is committed two lists: the fingerprints of deleted
-- alerts, where they are told, and the entries of messages that were taken.
local prefix = KEYS[1]
local change = cmsgpack.unpack(ARGV[1])

local removed = {}  -- fingerprints of the alerts that were deleted
local CHUNK = 1000  -- Lua takes a few thousand arguments at most

-- The first 8 bytes of a lease are its revision: every push gives it a new one.
-- words: fingerprint, revision, fingerprint, revision, … from an index on
local function remove(group, words, first)
  local base = prefix .. 'group:' .. group
  for from = first, #words, 2 * CHUNK do
    local names, gone = {}, {}
    for i = from, math.min(from + 2 * CHUNK - 2, #words), 2 do names[#names + 1] = words[i] end
    for i, have in ipairs(redis.call('HMGET', base .. ':leases', unpack(names))) do
      if have and string.sub(have, 1, 8) == words[from + 2 * i - 1] then gone[#gone + 1] = names[i] end
    end
    if #gone > 0 then
      redis.call('HDEL', base .. ':leases', unpack(gone))
      redis.call('HDEL', base .. ':alerts', unpack(gone))
      if change[3] then
        for _, name in ipairs(gone) do removed[#removed + 1] = name end
      end
    end
  end
end

local function prune(group)
  local base = prefix .. 'group:' .. group
  if redis.call('EXISTS', base .. ':leases') == 0 then
    redis.call('DEL', base, base .. ':alerts')
    redis.call('SREM', prefix .. 'groups', group)
    redis.call('ZREM', prefix .. 'timers', 'flush:' .. group)
    -- five days: the log outlives the group, so that one that comes back is not notified twice
    redis.call('EXPIRE', base .. ':log', 432000)
  end
end

local function settle(group, flush, delivered, now)
  local base = prefix .. 'group:' .. group
  -- a message of an older flush, given up or delivered late, has no say
  if redis.call('HGET', base, 'flush') ~= flush then return end
  -- one that failed must hear of the resolved alerts at the next flush, so all of them stay
  if delivered == '0' then redis.call('HDEL', base, 'settle') end
  if redis.call('HINCRBY', base, 'pending', -1) > 0 then return end
  local settled = redis.call('HGET', base, 'settle')
  if settled then
    local words = {}
    for _, pair in ipairs(cmsgpack.unpack(settled)) do
      words[#words + 1], words[#words + 2] = pair[1], pair[2]
    end
    remove(group, words, 1)
  end
  if redis.call('HGET', base, 'late') then
    redis.call('ZADD', prefix .. 'timers', 'XX', 'LT', now, 'flush:' .. group)
  end
  redis.call('HDEL', base, 'flush', 'pending', 'settle', 'until', 'late')
  prune(group)
end

local function set_next_flush(group, touched, due, now)
  local have = redis.call('HGET', prefix .. 'group:' .. group, 'touched') or ''
  redis.call('ZADD', prefix .. 'timers', have == touched and due or now, 'flush:' .. group)
end

local function note_change(words)
  local key, version = words[2], words[3]
  local before = redis.call('GET', key .. ':version') or ''
  redis.call('SET', key .. ':version', version)
  redis.call('LPUSH', key .. ':changes', table.concat({version, before, unpack(words, 5)}, ' '))
  redis.call('LTRIM', key .. ':changes', 0, words[4] - 1)
end

local function leave(consumers, entry)
  local left = redis.call('XACK', prefix .. 'outbox', consumers, entry)
  redis.call('XDEL', prefix .. 'outbox', entry)
  redis.call('HDEL', prefix .. 'begun', entry)
  return left == 1
end

local function finish(consumers, entry, channel)
  if leave(consumers, entry) then redis.call('HINCRBY', prefix .. 'depth', channel, -1) end
end

local function postpone(consumers, entry, id, message, due)
  if leave(consumers, entry) then
    redis.call('HSET', prefix .. 'retries', id, message)
    redis.call('ZADD', prefix .. 'timers', due, 'retry:' .. id)
  end
end

local function is_quiet(key, wanted)
  local now, two_sided = string.match(wanted, '^(%d+) (%d)$')
  now = tonumber(now)
  for _, value in ipairs(redis.call('HVALS', key)) do
    local source = cmsgpack.unpack(value)
    local ends = source.ends_ns or 0
    local fires = ends == 0 or ends > now
    if fires and not (two_sided == '1' and source.two_sided) then return false end
  end
  return true
end

-- pcall: what is committed stays so where nothing can be taken; then it is read as ever
local function take(consumers, consumer, limit)
  local answer = redis.pcall(
    'XREADGROUP', 'GROUP', consumers, consumer, 'COUNT', limit, 'STREAMS', prefix .. 'outbox', '>')
  return answer and answer[1] and answer[1][2]
end

local function is_met(guard)
  if guard[1] == '!quiet' then return is_quiet(guard[2], guard[3]) end
  if guard[1] == '!unfinished' then
    return #redis.call('XPENDING', prefix .. 'outbox', guard[2], guard[3], guard[3], 1) == 1
  end
  return (redis.call('HGET', guard[1], guard[2]) or '') == guard[3]
end

local function check_group(group)
  local base = prefix .. 'group:' .. group
  check('HGET', base, 'flush')
  check('HDEL', base, 'flush')
  check('HINCRBY', base, 'pending', '-1')
  check('HMGET', base .. ':leases', '')
  check('EXISTS', base .. ':leases')
  check('HDEL', base .. ':leases', '')
  check('HDEL', base .. ':alerts', '')
  check('DEL', base)
  check('SREM', prefix .. 'groups', group)
  check('ZREM', prefix .. 'timers', group)
  check('ZADD', prefix .. 'timers', '0', group)
  check('EXPIRE', base, '1')
end

local function check_changes(key)
  check('GET', key .. ':version')
  check('SET', key .. ':version', '1')
  check('LPUSH', key .. ':changes', '1')
  check('LTRIM', key .. ':changes', '0', '1')
end

local function check_outbox()
  check('XACK', prefix .. 'outbox', 'g', '0-0')
  check('XDEL', prefix .. 'outbox', '0-0')
  check('HDEL', prefix .. 'begun', '')
  check('HINCRBY', prefix .. 'depth', '', '-1')
  check('HSET', prefix .. 'retries', '', '')
  check('ZADD', prefix .. 'timers', '0', '')
end

-- Every guard and check before the first operation: Redis does not undo a script half-way.
for _, guard in ipairs(change[1]) do
  if not is_met(guard) then return 0 end
end
local checked = {}
for _, op in ipairs(change[2]) do
  local kind, what = op[1], op[1] .. ' ' .. (op[2] or '')
  if not checked[what] then
    checked[what] = true
    if kind == '!finish' or kind == '!postpone' then check_outbox()
    elseif kind == '!changed' then check_changes(op[2])
    elseif kind == '!forget' then check('HDEL', op[2], '')
    elseif kind == '!take' then -- it may fail
    elseif string.sub(kind, 1, 1) == '!' then check_group(op[2])
    else check(unpack(op)) end
  end
end
local taken
for _, op in ipairs(change[2]) do
  if op[1] == '!remove' then remove(op[2], op, 3)
  elseif op[1] == '!settle' then settle(op[2], op[3], op[4], op[5])
  elseif op[1] == '!next' then set_next_flush(op[2], op[3], op[4], op[5])
  elseif op[1] == '!prune' then prune(op[2])
  elseif op[1] == '!changed' then note_change(op)
  elseif op[1] == '!forget' then
    if redis.call('HGET', op[2], op[3]) == op[4] then redis.call('HDEL', op[2], op[3]) end
  elseif op[1] == '!finish' then finish(op[2], op[3], op[4])
  elseif op[1] == '!postpone' then postpone(op[2], op[3], op[4], op[5], op[6])
  elseif op[1] == '!take' then taken = take(op[2], op[3], op[4])
  else redis.call(unpack(op)) end
end
return {change[3] and removed or {}, taken or {}}
