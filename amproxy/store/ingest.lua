-- Store what one push changes, for all its groups at once, or nothing when another process changed
-- an alert meanwhile.
-- KEYS[1]  prefix of the partition
-- ARGV[1]  msgpack: {list of {group id, meta or false, due ms or 0, hurry, fingerprints,
--          expected revisions, leases, records or false, sources as a flat list of key,
--          fingerprint, source, end of the timer's lease in ms or 0},
--          where a revision is 'merge' the alert is merged here with what is stored; 'times' is the
--          same for one whose start and content are as they are stored
--          {keys of strings, their expected values or '', their new values, seconds to live}}
-- Returns  the ids of the groups whose timers are leased now, or
--          0 an alert's revision or a string is not the expected one (load again)
local prefix = KEYS[1]
local groups, stated = unpack(cmsgpack.unpack(ARGV[1]))
local strings, expected, values, lifetime = unpack(stated)
local CHUNK = 1000  -- Lua takes a few thousand arguments at most

-- A lease, byte by byte: revision 1-8, start 9-16, end 17-24, lapse 25-32, update 33-40, content
-- 41-48, timeout 49. Times are ns in 8 bytes, little-endian; 0 = none. A number of Lua is too small
-- for one, so it is compared as the two halves.
local NO_END = struct.pack('<I4i4', 4294967295, 2147483647)

local function time(lease, from)
  return string.sub(lease, from, from + 7)
end

local function before(one, other)
  local low, high = struct.unpack('<I4i4', one)
  local other_low, other_high = struct.unpack('<I4i4', other)
  return high < other_high or (high == other_high and low < other_low)
end

local function last(lease)
  local ends = time(lease, 17)
  return ends == string.rep('\0', 8) and NO_END or ends
end

-- Alertmanager's rule, as merge_alerts of grouping/dedup.py has it. "Now" is the update of `new`.
-- Returns the merged lease, and whether it keeps the old end.
local function merge(old, new)
  local start, ends, now = time(new, 9), time(new, 17), time(new, 33)
  local old_start, old_ends = time(old, 9), time(old, 17)
  local overlap = (before(old_start, last(new)) and before(last(new), last(old)))
    or (before(old_start, start) and before(start, last(old)))
  if not overlap then return new, false end
  if before(old_start, start) then start = old_start end
  local keeps = last(new) == ends and before(ends, old_ends)
  if keeps then
    if before(now, ends) then keeps = string.byte(old, 49) == 0
    else keeps = not before(now, old_ends) end
  end
  if keeps then ends = old_ends end
  return string.sub(new, 1, 8) .. start .. ends .. string.sub(new, 25), keeps
end

-- Merge the alert at index i of a group with its stored lease, if there is one.
local function merge_alert(g, i, old, times_only)
  local new = g[7][i]
  if not old then
    -- an end that nobody has sent, of an alert that is not there, is nothing to store
    if times_only and last(new) ~= NO_END then g[7][i] = false end
    return
  end
  if times_only then
    new = string.sub(new, 1, 8) .. time(old, 9) .. string.sub(new, 17, 40) .. time(old, 41)
      .. string.sub(new, 49)
  end
  if time(old, 41) == time(new, 41) then g[8][i] = false end
  g[7][i], g.keeps_end[g[5][i]] = merge(old, new)
end

-- All revisions are checked before anything is written: a script that fails half-way is not undone.
for _, g in ipairs(groups) do
  local leases, fingerprints, expected = prefix .. 'group:' .. g[1] .. ':leases', g[5], g[6]
  g.keeps_end = {}
  for from = 1, #fingerprints, CHUNK do
    local to = math.min(from + CHUNK - 1, #fingerprints)
    local have = redis.call('HMGET', leases, unpack(fingerprints, from, to))
    for i = from, to do
      local lease, wanted = have[i - from + 1], expected[i]
      if wanted == 'merge' or wanted == 'times' then merge_alert(g, i, lease, wanted == 'times')
      elseif (lease and string.sub(lease, 1, 8) or '') ~= wanted then return 0 end
    end
  end
end

for from = 1, #strings, CHUNK do
  local have = redis.call('MGET', unpack(strings, from, math.min(from + CHUNK - 1, #strings)))
  for i, value in ipairs(have) do
    if (value or '') ~= expected[from + i - 1] then return 0 end
  end
end

-- Permissions are asked for once, there may be hundreds of groups. Leases, which say that an alert is
-- known, are written last.
local some = prefix .. 'group:' .. (groups[1] and groups[1][1] or 'x')
check('EXISTS', some)
check('HSET', some .. ':leases', 'f', 'v')
check('HSET', some .. ':alerts', 'f', 'v')
check('HSETNX', some, 'f', 'v')
check('HINCRBY', some, 'f', '1')
check('EXPIRE', some, '1')
check('SADD', prefix .. 'groups', 'g')
check('ZADD', prefix .. 'timers', '0', 't')
check('ZSCORE', prefix .. 'timers', 't')
if #strings > 0 then check('SET', strings[1], 'v', 'EX', '1') end
for _, g in ipairs(groups) do
  local base = prefix .. 'group:' .. g[1]
  check_type('HSET', base)
  check_type('HSET', base .. ':alerts')
  check_type('HSET', base .. ':leases')
  for i = 1, #g[9], 3 do check_type('HSET', prefix .. 'source:' .. g[9][i]) end
end

local function set(key, words)
  for from = 1, #words, 2 * CHUNK do
    redis.call('HSET', key, unpack(words, from, math.min(from + 2 * CHUNK - 1, #words)))
  end
end

local leased = {}

-- A lease makes the timer the caller's: nobody else takes it up before its end. Not one that is due
-- already, which somebody is about to take up.
local function set_timer(g)
  local timers, name = prefix .. 'timers', 'flush:' .. g[1]
  if not g[4] then
    local set = redis.call('ZADD', timers, 'NX', g[10] > 0 and g[10] or g[3], name)
    if set == 1 and g[10] > 0 then leased[#leased + 1] = g[1] end
    return
  end
  -- a flush that has loaded the group already would miss this push: `touched` refuses its commit
  redis.call('HINCRBY', prefix .. 'group:' .. g[1], 'touched', 1)
  local due = redis.call('ZSCORE', timers, name)
  if g[10] > 0 and not (due and tonumber(due) <= g[3]) then
    redis.call('ZADD', timers, g[10], name)
    leased[#leased + 1] = g[1]
  else
    redis.call('ZADD', timers, 'LT', g[3], name)
  end
end

local function store(g)
  local base = prefix .. 'group:' .. g[1]
  local leases, alerts = {}, {}
  for i, fingerprint in ipairs(g[5]) do
    if g[7][i] then
      leases[#leases + 1] = fingerprint
      leases[#leases + 1] = g[7][i]
    end
    if g[7][i] and g[8][i] then
      alerts[#alerts + 1] = fingerprint
      alerts[#alerts + 1] = g[8][i]
    end
  end
  for i = 1, #g[9], 3 do
    local key = prefix .. 'source:' .. g[9][i]
    -- an old end that is kept is stored with its source
    if not g.keeps_end[g[9][i + 1]] or redis.call('HEXISTS', key, g[9][i + 1]) == 0 then
      redis.call('HSET', key, g[9][i + 1], g[9][i + 2])
    end
    redis.call('EXPIRE', key, 691200)  -- longer than any alert lives without news
  end
  if g[2] and redis.call('HSETNX', base, 'meta', g[2]) == 1 then
    redis.call('SADD', prefix .. 'groups', g[1])
  end
  if g[4] or g[3] > 0 then set_timer(g) end
  set(base .. ':alerts', alerts)
  set(base .. ':leases', leases)
end

for i, key in ipairs(strings) do redis.call('SET', key, values[i], 'EX', lifetime) end
for _, g in ipairs(groups) do
  -- alerts that are over bring no deleted group back
  if g[2] or redis.call('EXISTS', prefix .. 'group:' .. g[1]) == 1 then store(g) end
end
return leased
