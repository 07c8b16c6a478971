using LmcDsl.Core.Runtime;

namespace LmcDsl.Core.Data;

/// <summary>
/// A data set drawn by code, for machines that have no other: 10 shapes of strokes on 28x28 grey pixels, each bent by a
/// random affine map and covered with noise. Only sums, products, quotients and square roots are used, so the bytes are
/// the same on every machine.
/// </summary>
public static class Glyphs
{
    /// <summary>Raised when the drawing changes: it stands for the data's checksum.</summary>
    public const string Version = "glyphs-1";

    /// <summary>Number of classes.</summary>
    public const int Classes = 10;

    private const int Side = 28;

    // Polylines in a square of -1..1, y downwards: one shape for each class, several sharing their parts.
    private static readonly (float X, float Y)[][][] Shapes =
    [
        [[(-0.6f, -0.8f), (0.6f, -0.8f), (0.6f, 0.8f), (-0.6f, 0.8f), (-0.6f, -0.8f)]], // box
        [[(-0.6f, -0.8f), (0.6f, -0.8f), (0.6f, 0.8f), (-0.6f, 0.8f)]], // box, open to the left
        [[(0.6f, -0.8f), (-0.6f, -0.8f), (-0.6f, 0.8f), (0.6f, 0.8f)]], // box, open to the right
        [[(-0.6f, -0.8f), (0.6f, 0.8f)], [(0.6f, -0.8f), (-0.6f, 0.8f)]], // cross
        [[(0f, -0.9f), (0f, 0.9f)], [(-0.7f, 0f), (0.7f, 0f)]], // plus
        [[(-0.6f, -0.8f), (0.6f, -0.8f), (-0.6f, 0.8f), (0.6f, 0.8f)]], // Z
        [[(0.6f, -0.8f), (-0.6f, -0.8f), (0.6f, 0.8f), (-0.6f, 0.8f)]], // Z mirrored
        [[(-0.7f, 0.8f), (0f, -0.8f), (0.7f, 0.8f)]], // hat
        [[(-0.7f, 0.8f), (0f, -0.8f), (0.7f, 0.8f)], [(-0.35f, 0.1f), (0.35f, 0.1f)]], // hat with a bar
        [[(-0.7f, -0.8f), (0f, 0f), (0.7f, -0.8f)], [(0f, 0f), (0f, 0.9f)]], // fork
    ];

    /// <summary>Draws the training and the test images.</summary>
    /// <param name="train">Number of training images.</param>
    /// <param name="test">Number of test images.</param>
    /// <returns>Both, always the same.</returns>
    public static (RawImages Train, RawImages Test) Draw(int train = 20_000, int test = 4_000) =>
        (Draw(train, "train"), Draw(test, "test"));

    private static RawImages Draw(int count, string part)
    {
        var pixels = new byte[count * Side * Side];
        var labels = new byte[count];
        Parallel.For(0, count, i =>
        {
            var random = Seeds.Random(0, $"{Version} {part}", i);
            labels[i] = (byte)random.Next(Classes);
            DrawOne(Shapes[labels[i]], random, pixels.AsSpan(i * Side * Side, Side * Side));
        });
        return new RawImages([1, Side, Side], pixels, labels);
    }

    private static void DrawOne((float X, float Y)[][] shape, Random random, Span<byte> image)
    {
        // Pixel = centre + M point, M near a multiple of the identity: turns, slants and stretches.
        float size = Between(random, 6f, 10f);
        float a = size * Between(random, 0.8f, 1.2f), b = size * Between(random, -0.35f, 0.35f);
        float c = size * Between(random, -0.35f, 0.35f), d = size * Between(random, 0.8f, 1.2f);
        float x0 = Side / 2f + Between(random, -3.5f, 3.5f), y0 = Side / 2f + Between(random, -3.5f, 3.5f);
        float width = Between(random, 0.6f, 1.5f), ink = Between(random, 130f, 255f), noise = Between(random, 10f, 40f);

        var segments = new List<(float X, float Y, float Dx, float Dy)>();
        foreach (var line in shape)
            for (var k = 0; k + 1 < line.Length; k++)
            {
                var (fromX, fromY) = Map(line[k]);
                var (toX, toY) = Map(line[k + 1]);
                segments.Add((fromX, fromY, toX - fromX, toY - fromY));
            }

        for (var y = 0; y < Side; y++)
            for (var x = 0; x < Side; x++)
            {
                var nearest = float.MaxValue;
                foreach (var s in segments) nearest = Math.Min(nearest, SquaredDistance(x + 0.5f, y + 0.5f, s));
                var cover = Math.Clamp(width + 0.5f - MathF.Sqrt(nearest), 0f, 1f);
                // The sum of four uniform draws is close enough to normal, and needs no logarithm.
                var draw = random.NextSingle() + random.NextSingle() + random.NextSingle() + random.NextSingle() - 2f;
                image[y * Side + x] = (byte)Math.Clamp(cover * ink + 1.7f * draw * noise, 0f, 255f);
            }

        (float X, float Y) Map((float X, float Y) point)
        {
            float px = point.X + Between(random, -0.08f, 0.08f), py = point.Y + Between(random, -0.08f, 0.08f);
            return (x0 + a * px + b * py, y0 + c * px + d * py);
        }
    }

    private static float SquaredDistance(float x, float y, (float X, float Y, float Dx, float Dy) s)
    {
        float px = x - s.X, py = y - s.Y;
        var along = Math.Clamp((px * s.Dx + py * s.Dy) / (s.Dx * s.Dx + s.Dy * s.Dy), 0f, 1f);
        px -= along * s.Dx;
        py -= along * s.Dy;
        return px * px + py * py;
    }

    private static float Between(Random random, float low, float high) => low + (high - low) * random.NextSingle();
}
