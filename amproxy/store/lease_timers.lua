-- Lease due timers: who dies leaves them to come again when the lease is over.
-- Half of them are those due longest, half those due last, so that what comes behind a backlog of
-- thousands does not wait for its end, and the backlog itself goes on.
-- KEYS[1]  prefix of the partition
-- ARGV     now (ms), lease (ms), how many at most
-- Returns  a list of name, due, alerts of the group (0 of other timers), name, due, alerts …
local timers, now, limit = KEYS[1] .. 'timers', ARGV[1], tonumber(ARGV[3])
local newest = math.floor(limit / 2)
local leased = {}

local function alerts(name)
  local group = string.match(name, '^flush:(.*)$')
  local number = group and redis.pcall('HLEN', KEYS[1] .. 'group:' .. group .. ':leases')
  return type(number) == 'number' and number or 0
end

local function lease(due)
  for i = 1, #due, 2 do
    redis.call('ZADD', timers, 'XX', now + ARGV[2], due[i])
    leased[#leased + 1] = due[i]
    leased[#leased + 1] = due[i + 1]
    leased[#leased + 1] = alerts(due[i])
  end
end

check('ZADD', timers, '0', '')
check('ZREVRANGEBYSCORE', timers, now, '-inf')
lease(redis.call('ZRANGEBYSCORE', timers, '-inf', now, 'WITHSCORES', 'LIMIT', 0, limit - newest))
lease(redis.call('ZREVRANGEBYSCORE', timers, now, '-inf', 'WITHSCORES', 'LIMIT', 0, newest))
return leased
