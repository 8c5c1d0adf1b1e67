-- Store what one push changes, for all its groups at once, or nothing when another process changed
-- an alert meanwhile.
-- KEYS[1]  prefix of the partition
-- ARGV[1]  msgpack: list of {group id, meta or false, due ms or 0, hurry, fingerprints,
--          expected revisions, leases, records or false, sources as a flat list of key,
--          fingerprint, source}
-- Returns  1 stored, 0 an alert's revision is not the expected one (load again)
local prefix = KEYS[1]
local groups = cmsgpack.unpack(ARGV[1])
local CHUNK = 1000  -- Lua takes a few thousand arguments at most

-- All revisions are checked before anything is written: a script that fails half-way is not undone.
for _, g in ipairs(groups) do
  local leases, fingerprints, expected = prefix .. 'group:' .. g[1] .. ':leases', g[5], g[6]
  for from = 1, #fingerprints, CHUNK do
    local to = math.min(from + CHUNK - 1, #fingerprints)
    local have = redis.call('HMGET', leases, unpack(fingerprints, from, to))
    for i = from, to do
      local lease = have[i - from + 1]
      if (lease and string.sub(lease, 1, 8) or '') ~= expected[i] then return 0 end
    end
  end
end

-- Permissions are asked for once, there may be hundreds of groups. Leases, which say that an alert is
-- known, are written last.
local some = prefix .. 'group:' .. groups[1][1]
check('EXISTS', some)
check('HSET', some .. ':leases', 'f', 'v')
check('HSET', some .. ':alerts', 'f', 'v')
check('HSETNX', some, 'f', 'v')
check('HINCRBY', some, 'f', '1')
check('EXPIRE', some, '1')
check('SADD', prefix .. 'groups', 'g')
check('ZADD', prefix .. 'timers', '0', 't')
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

local function store(g)
  local base = prefix .. 'group:' .. g[1]
  local leases, alerts = {}, {}
  for i, fingerprint in ipairs(g[5]) do
    leases[2 * i - 1], leases[2 * i] = fingerprint, g[7][i]
    if g[8][i] then
      alerts[#alerts + 1] = fingerprint
      alerts[#alerts + 1] = g[8][i]
    end
  end
  for i = 1, #g[9], 3 do
    local key = prefix .. 'source:' .. g[9][i]
    redis.call('HSET', key, g[9][i + 1], g[9][i + 2])
    redis.call('EXPIRE', key, 691200)  -- longer than any alert lives without news
  end
  if g[2] and redis.call('HSETNX', base, 'meta', g[2]) == 1 then
    redis.call('SADD', prefix .. 'groups', g[1])
  end
  if g[4] then
    -- a flush that has loaded the group already would miss this push: `touched` refuses its commit
    redis.call('HINCRBY', base, 'touched', 1)
    redis.call('ZADD', prefix .. 'timers', 'LT', g[3], 'flush:' .. g[1])
  elseif g[3] > 0 then
    redis.call('ZADD', prefix .. 'timers', 'NX', g[3], 'flush:' .. g[1])
  end
  set(base .. ':alerts', alerts)
  set(base .. ':leases', leases)
end

for _, g in ipairs(groups) do
  -- alerts that are over bring no deleted group back
  if g[2] or redis.call('EXISTS', prefix .. 'group:' .. g[1]) == 1 then store(g) end
end
return 1
