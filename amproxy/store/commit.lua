-- Commit a change whole, or not at all when one of its guards does not hold any more.
-- KEYS[1]  prefix of the partition
-- ARGV[1]  msgpack: {guards, operations}
--   guard      {hash key, field, expected text; "" = absent}
--   operation  a Redis command as a list, or one of
--              {"!remove", group id, fingerprint, revision}  forget an alert unless it was pushed again meanwhile
--              {"!settle", group id, flush id, told, now ms} one more integration is done with; the last one ends the flush: if all
--                                                            were told, resolved alerts go; a tick that waited for it comes now
--              {"!prune", group id}                          forget a group without alerts
-- Returns 1 committed, 0 a guard did not hold.
local prefix = KEYS[1]
local change = cmsgpack.unpack(ARGV[1])

local function remove(group, fingerprint, revision)
  local leases = prefix .. 'group:' .. group .. ':leases'
  local have = redis.call('HGET', leases, fingerprint)
  if have and string.sub(have, 1, 8) == revision then
    redis.call('HDEL', leases, fingerprint)
    redis.call('HDEL', prefix .. 'group:' .. group .. ':alerts', fingerprint)
  end
end

local function prune(group)
  local base = prefix .. 'group:' .. group
  if redis.call('EXISTS', base .. ':leases') == 0 then
    redis.call('DEL', base, base .. ':alerts')
    redis.call('SREM', prefix .. 'groups', group)
    redis.call('ZREM', prefix .. 'timers', 'flush:' .. group)
    -- the log outlives the group, so that a group that comes back is not told twice
    redis.call('EXPIRE', base .. ':log', 432000)
  end
end

local function settle(group, flush, told, now)
  local base = prefix .. 'group:' .. group
  if redis.call('HGET', base, 'flush') ~= flush then return end
  if told == '0' then redis.call('HDEL', base, 'settle') end
  if redis.call('HINCRBY', base, 'pending', -1) > 0 then return end
  local settled = redis.call('HGET', base, 'settle')
  if settled then
    for _, pair in ipairs(cmsgpack.unpack(settled)) do remove(group, pair[1], pair[2]) end
  end
  if redis.call('HGET', base, 'late') then
    redis.call('ZADD', prefix .. 'timers', 'XX', 'LT', now, 'flush:' .. group)
  end
  redis.call('HDEL', base, 'flush', 'pending', 'settle', 'until', 'late')
  prune(group)
end

for _, guard in ipairs(change[1]) do
  if (redis.call('HGET', guard[1], guard[2]) or '') ~= guard[3] then return 0 end
end
for _, op in ipairs(change[2]) do
  if op[1] == '!remove' then remove(op[2], op[3], op[4])
  elseif op[1] == '!settle' then settle(op[2], op[3], op[4], op[5])
  elseif op[1] == '!prune' then prune(op[2])
  else redis.call(unpack(op)) end
end
return 1
