-- Store what one push changes, for all its groups at once, or nothing when somebody else changed an alert meanwhile.
-- KEYS[1]  prefix of the partition
-- ARGV[1]  msgpack: list of {group id, meta or false, due ms, hurry, fingerprints, expected revisions, leases, records or false,
--                   sources as a flat list of key, fingerprint, source}
-- Returns 1 stored, 0 an alert's revision is not the expected one (ask again).
local prefix = KEYS[1]
local groups = cmsgpack.unpack(ARGV[1])

for _, g in ipairs(groups) do
  local leases = prefix .. 'group:' .. g[1] .. ':leases'
  for i, fingerprint in ipairs(g[5]) do
    local have = redis.call('HGET', leases, fingerprint)
    if (have and string.sub(have, 1, 8) or '') ~= g[6][i] then return 0 end
  end
end

for _, g in ipairs(groups) do
  local base = prefix .. 'group:' .. g[1]
  local leases, alerts = base .. ':leases', base .. ':alerts'
  for i, fingerprint in ipairs(g[5]) do
    redis.call('HSET', leases, fingerprint, g[7][i])
    if g[8][i] then redis.call('HSET', alerts, fingerprint, g[8][i]) end
  end
  for i = 1, #g[9], 3 do
    local key = prefix .. 'source:' .. g[9][i]
    redis.call('HSET', key, g[9][i + 1], g[9][i + 2])
    redis.call('EXPIRE', key, 691200)  -- longer than any alert lives without news
  end
  if g[2] and redis.call('HSETNX', base, 'meta', g[2]) == 1 then redis.call('SADD', prefix .. 'groups', g[1]) end
  if g[4] then
    redis.call('HINCRBY', base, 'touched', 1)
    redis.call('ZADD', prefix .. 'timers', 'LT', g[3], 'flush:' .. g[1])
  else
    redis.call('ZADD', prefix .. 'timers', 'NX', g[3], 'flush:' .. g[1])
  end
end
return 1
