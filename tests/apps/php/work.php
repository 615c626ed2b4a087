<?php
// What the PHP service does for one request; the other languages have the same module.
declare(strict_types=1);

final class Work
{
    public int $calls;
    public bool $parallel;
    private string $id;
    private string $mode;
    private string $log;
    private int $variant;
    private string $trace;

    public function __construct(array $query, private ?string $inbound)
    {
        $this->id = $query['id'] ?? 'none';
        $this->mode = $query['mode'] ?? 'propagate';
        $this->log = $query['log'] ?? 'linked';
        $this->calls = (int) ($query['calls'] ?? 2);
        $this->variant = (int) ($query['var'] ?? 0);
        $this->parallel = ($query['par'] ?? '') === '1';
        $valid = '/^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/D';
        $this->trace = preg_match($valid, $inbound ?? '', $found) ? $found[1] : self::id(16);
    }

    private static function id(int $bytes): string
    {
        return bin2hex(random_bytes($bytes));
    }

    public function url(int $n): string
    {
        return getenv('DOWNSTREAM') . "/down?id={$this->id}&n=$n";
    }

    /** Propagation headers of one call. */
    public function headers(): array
    {
        $span = self::id(8);
        return match ($this->mode) {
            'propagate' => ["traceparent: 00-{$this->trace}-$span-01"],
            'restart' => ['traceparent: 00-' . self::id(16) . "-$span-01"],
            'forward' => $this->inbound === null ? [] : ["traceparent: {$this->inbound}"],
            'malformed' => ['traceparent: ' . $this->malformed($span)],
            'b3' => $this->variant % 2 === 1
                ? ["b3: {$this->trace}-$span-1"]
                : ["X-B3-TraceId: {$this->trace}", "X-B3-SpanId: $span", 'X-B3-Sampled: 1'],
            default => [],
        };
    }

    /** A traceparent that breaks one rule of W3C Trace Context level 1, section 3.2. */
    private function malformed(string $span): string
    {
        $kinds = [
            '00-' . substr($this->trace, 0, 31) . "-$span-01",
            '00-' . strtoupper(substr($this->trace, 0, 30)) . "AB-$span-01",
            "ff-{$this->trace}-$span-01",
            '00-' . str_repeat('0', 32) . "-$span-01",
            "00-{$this->trace}-" . str_repeat('0', 16) . '-01',
            '00-' . substr($this->trace, 0, 31) . "g-$span-01",
            "00-{$this->trace}-$span",
            "00-{$this->trace}-$span-01-extra",
        ];
        return $kinds[$this->variant % count($kinds)];
    }

    /** Log line k: JSON when k is even, text when it is odd. */
    public function line(int $k): string
    {
        [$name, $value] = match ($this->log) {
            'linked' => ['trace_id', $this->trace],
            'zero' => ['trace_id', str_repeat('0', 32)],
            'decimal' => ['dd.trace_id', sprintf('%u', (hexdec(substr($this->trace, 16, 8)) << 32) | hexdec(substr($this->trace, 24)))],
            default => [null, null],
        };
        if ($k % 2 === 0) {
            $record = ['level' => 'info', 'message' => 'step', 'id' => $this->id, 'k' => $k];
            return json_encode($name === null ? $record : $record + [$name => $value]);
        }
        return "INFO step id={$this->id} k=$k" . ($name === null ? '' : " $name=$value");
    }
}

/** Standard error of a worker is a pipe to FPM's master, which writes the line on. */
function put(string $line): void
{
    file_put_contents('php://stderr', "$line\n");
}

function request(Work $job, int $n): CurlHandle
{
    $handle = curl_init($job->url($n));
    curl_setopt_array($handle, [
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_HTTPHEADER => $job->headers(),
        CURLOPT_PROXY => '',
    ]);
    return $handle;
}

function in_sequence(Work $job): void
{
    for ($n = 1; $n <= $job->calls; $n++) {
        curl_exec(request($job, $n));
        if ($n <= 2) {
            put($job->line($n));
        }
    }
}

function in_parallel(Work $job): void
{
    $all = curl_multi_init();
    for ($n = 1; $n <= $job->calls; $n++) {
        curl_multi_add_handle($all, request($job, $n));
    }
    do {
        $status = curl_multi_exec($all, $active);
        if ($active) {
            curl_multi_select($all);
        }
    } while ($active && $status === CURLM_OK);
    put($job->line(1));
    put($job->line(2));
}

$job = new Work($_GET, $_SERVER['HTTP_TRACEPARENT'] ?? null);
put($job->line(0));
if ($job->parallel) {
    in_parallel($job);
} else {
    in_sequence($job);
}
for ($k = min($job->calls, 2) + 1; $k < 4; $k++) {
    put($job->line($k));
}
echo "done\n";
