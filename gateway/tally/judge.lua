-- Judges one request against all of its levels, and charges it to all of them or to none. Times are in microseconds since the
-- Unix epoch, as whole numbers below 2^53; where a second is meant, it is said.
--
-- KEYS[i]: the budget of a level. ARGV: what the request costs, the name of its lease, how long that lasts; then for each
-- level its kind, its mode and three numbers. Answers whether it fits, the time, and of each level three numbers: two that
-- were seen before it was charged, and whether it fits there.
local cost, lease, lasts = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local second = math.floor(now / 1000000)
local verdict, answer, writes = 1, {1, now}, {}

local function whole(number)
    return string.format('%.0f', number)
end

-- Each kind: what was seen, whether it fits, and what is kept of it for how long.
local kinds = {}

-- GCRA: the time up to which the key has spent. Under numbers that became smaller nobody is further behind than a budget
-- that is used up.
function kinds.rate(key, interval, burst)
    local seen = tonumber(redis.call('GET', key) or '0')
    local most = interval * burst
    local ahead = math.min(math.max(seen - now, 0), most) + cost * interval
    return seen, 0, ahead <= most, whole(now + ahead), ahead
end

-- The same, and charged when the request is over.
function kinds.bytes(key, most)
    local seen = tonumber(redis.call('GET', key) or '0')
    return seen, 0, math.max(seen - now, 0) < most
end

-- Leases that have not run out.
function kinds.concurrency(key, most)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    local taken = redis.call('ZCARD', key)
    return taken, 0, taken < most, lease, lasts
end

-- What was used until the end of a period, both in seconds of the clock that says when it ends. What was used counts until the
-- end that was named when it was used.
function kinds.quota(key, most, ends, at)
    local till, count = string.match(redis.call('GET', key) or '0 0', '^(%d+) (%d+)$')
    till, count = tonumber(till), tonumber(count)
    local seen, used = till, count
    if till <= at then
        till, count = ends, 0
    else
        till = math.max(till, ends)
    end
    -- A day longer, for clocks that differ.
    local life = math.max(till * 1000000 - now, 0) + 86400000000
    return seen, used, count + cost <= most, whole(till) .. ' ' .. whole(count + cost), life
end

-- Until which second it counts, how many are being tried, how many have failed; 65535: it is locked.
function kinds.failures(key, most, within)
    local till, pending, failed = string.match(redis.call('GET', key) or '0 0 0', '^(%d+) (%d+) (%d+)$')
    till, pending, failed = tonumber(till), tonumber(pending), tonumber(failed)
    if till <= second then
        till, pending, failed = 0, 0, 0
    end
    local fits = failed < 65535 and failed + pending < most
    local next_till = till > second and till or second + within
    local kept = whole(next_till) .. ' ' .. whole(math.min(pending + 1, 65535)) .. ' ' .. whole(failed)
    return till, pending * 65536 + failed, fits, kept, next_till * 1000000 - now
end

function kinds.nothing()
    return 0, 0, false
end

for i, key in ipairs(KEYS) do
    local at = 5 * i - 1
    local judge = kinds[ARGV[at]]
    local one, two, fits, kept, life =
        judge(key, tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]))
    if not fits and ARGV[at + 1] == 'enforce' then
        verdict = 0
    end
    if fits and kept then
        writes[#writes + 1] = {ARGV[at], key, kept, math.ceil(life / 1000)}
    end
    answer[#answer + 1] = one
    answer[#answer + 1] = two
    answer[#answer + 1] = fits and 1 or 0
end

answer[1] = verdict
if verdict == 1 then
    for _, write in ipairs(writes) do
        local kind, key, kept, life = unpack(write)
        if kind == 'concurrency' then
            redis.call('ZADD', key, whole(now + lasts), kept)
            redis.call('PEXPIRE', key, math.max(life, 1))
        else
            redis.call('SET', key, kept, 'PX', math.max(life, 1))
        end
    end
end
return answer
