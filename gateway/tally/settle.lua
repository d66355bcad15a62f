-- Charges or gives back what is due at one level when its request is over. KEYS[1]: the budget. ARGV: what is due, and its numbers.
local key, due = KEYS[1], ARGV[1]
local second = math.floor(now / 1000000)

local function keep(value, life)
    redis.call('SET', key, value, 'PX', math.max(math.ceil(life / 1000), 1))
end

local function whole(number)
    return string.format('%.0f', number)
end

if due == 'bytes' then
    -- At most as long as anything may last: a year.
    local seen = tonumber(redis.call('GET', key) or '0')
    local ahead = math.min(math.max(seen - now, 0) + tonumber(ARGV[2]), 366 * 86400000000)
    keep(whole(now + ahead), ahead)
elseif due == 'place' then
    redis.call('ZREM', key, ARGV[2])
elseif due == 'renew' then
    -- Only those that are there: what ran out is somebody else's place by now.
    local lasts = tonumber(ARGV[3])
    redis.call('ZADD', key, 'XX', whole(now + lasts), ARGV[2])
    if redis.call('EXISTS', key) == 1 then
        redis.call('PEXPIRE', key, math.ceil(lasts / 1000))
    end
elseif due == 'try' then
    local begun, said_no = tonumber(ARGV[2]), tonumber(ARGV[3])
    local most, within, lock = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
    local till, pending, failed = string.match(redis.call('GET', key) or '0 0 0', '^(%d+) (%d+) (%d+)$')
    till, pending, failed = tonumber(till), tonumber(pending), tonumber(failed)
    if till <= second then
        till, pending, failed = 0, 0, 0
    end
    pending = math.max(pending - begun, 0)
    if said_no == 1 and failed < 65535 then
        failed = failed + 1
        if failed >= most then
            till, failed = second + lock, 65535
        elseif till <= second then
            till = second + within
        end
    end
    if till > second then
        keep(whole(till) .. ' ' .. whole(pending) .. ' ' .. whole(failed), till * 1000000 - now)
    end
elseif due == 'rate_back' then
    local seen = tonumber(redis.call('GET', key) or '0')
    local ahead = seen - tonumber(ARGV[2]) - now
    if ahead > 0 then
        keep(whole(now + ahead), ahead)
    else
        redis.call('DEL', key)
    end
elseif due == 'quota_back' then
    local till, count = string.match(redis.call('GET', key) or '0 0', '^(%d+) (%d+)$')
    if tonumber(till) > tonumber(ARGV[3]) then
        redis.call('SET', key, till .. ' ' .. whole(math.max(tonumber(count) - tonumber(ARGV[2]), 0)), 'KEEPTTL')
    end
elseif due == 'beat' then
    keep('1', 10000000)
end
return 1
