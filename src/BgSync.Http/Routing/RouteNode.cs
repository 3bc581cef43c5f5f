using System.Collections.Frozen;

namespace BgSync.Http.Routing;

/// <summary>
/// A place in the tree of the templates of one method: what may come next in a path that has matched so far.
/// </summary>
internal sealed class RouteNode
{
    private readonly FrozenDictionary<string, RouteNode>.AlternateLookup<ReadOnlySpan<char>> _literals;
    private readonly RouteNode? _parameter;
    private readonly bool _takesNothing;

    /// <summary>Makes the place to which templates have led, and all that follow it.</summary>
    /// <param name="templates">The rest of each template.</param>
    public RouteNode(IEnumerable<RouteSegment[]> templates)
    {
        var byKind = templates.ToLookup(rest => rest is [var next, ..] ? next.Kind : (RouteSegmentKind?)null);
        _takesNothing = byKind.Contains(null) || byKind.Contains(RouteSegmentKind.Optional);
        TakesAnything = byKind.Contains(RouteSegmentKind.CatchAll);
        _literals = byKind[RouteSegmentKind.Literal]
            .GroupBy(rest => rest[0].Text, rest => rest[1..], StringComparer.OrdinalIgnoreCase)
            .ToFrozenDictionary(group => group.Key, group => new RouteNode(group), StringComparer.OrdinalIgnoreCase)
            .GetAlternateLookup<ReadOnlySpan<char>>();

        RouteSegment[][] parameters = [.. byKind[RouteSegmentKind.Parameter], .. byKind[RouteSegmentKind.Optional]];
        _parameter = parameters.Length > 0 ? new RouteNode(parameters.Select(rest => rest[1..])) : null;
    }

    /// <summary>Whether a template leads from here through whatever follows.</summary>
    public bool TakesAnything { get; }

    /// <summary>
    /// Whether a template leads from here through <paramref name="path"/>, which is empty or starts with a slash. Looks at each
    /// place of the tree once at most.
    /// </summary>
    public bool IsMatch(ReadOnlySpan<char> path)
    {
        if (TakesAnything)
        {
            return true;
        }

        if (path.IsEmpty)
        {
            return _takesNothing;
        }

        var segment = path[1..];
        var slash = segment.IndexOf('/');
        var rest = slash < 0 ? [] : segment[slash..];
        segment = slash < 0 ? segment : segment[..slash];

        // A literal that leads nowhere further on does not keep a parameter from matching here.
        return (_literals.TryGetValue(segment, out var literal) && literal.IsMatch(rest))
            || (!segment.IsEmpty && _parameter is not null && _parameter.IsMatch(rest));
    }
}
