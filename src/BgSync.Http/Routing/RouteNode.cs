namespace BgSync.Http.Routing;

/// <summary>
/// A place in the tree of the templates of one method: what may come next in a path that has matched so far. Not changed once the
/// table is compiled.
/// </summary>
internal sealed class RouteNode
{
    private readonly Dictionary<string, RouteNode> _literals = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, RouteNode>.AlternateLookup<ReadOnlySpan<char>> _literalsBySpan;
    private RouteNode? _parameter;
    private bool _takesNothing;
    private bool _takesAnything;

    public RouteNode() => _literalsBySpan = _literals.GetAlternateLookup<ReadOnlySpan<char>>();

    /// <summary>Adds the segments of a template that follow this place.</summary>
    public void Add(IEnumerable<RouteSegment> segments)
    {
        var node = this;
        foreach (var (kind, text) in segments)
        {
            switch (kind)
            {
                case RouteSegmentKind.Literal:
                    node = node.Literal(text);
                    break;
                case RouteSegmentKind.Parameter:
                    node = node.Parameter();
                    break;
                case RouteSegmentKind.Optional:
                    node._takesNothing = true;
                    node = node.Parameter();
                    break;
                case RouteSegmentKind.CatchAll:
                    node._takesAnything = true;
                    return;
            }
        }

        node._takesNothing = true;
    }

    /// <summary>
    /// Whether a template leads from here through <paramref name="path"/>, which is empty or starts with a slash. Looks at each
    /// place of the tree once at most.
    /// </summary>
    public bool IsMatch(ReadOnlySpan<char> path)
    {
        if (_takesAnything)
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
        return (_literalsBySpan.TryGetValue(segment, out var literal) && literal.IsMatch(rest))
            || (!segment.IsEmpty && _parameter is not null && _parameter.IsMatch(rest));
    }

    private RouteNode Literal(string text)
    {
        if (!_literals.TryGetValue(text, out var node))
        {
            _literals.Add(text, node = new RouteNode());
        }

        return node;
    }

    private RouteNode Parameter() => _parameter ??= new RouteNode();
}
