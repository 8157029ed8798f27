"""The report's style sheet: light and dark, wide and narrow. Colours mean the same everywhere."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root{--ink:#1b1f24;--soft:#68727d;--paper:#fff;--card:#f5f7f9;--rule:#dfe3e8;
--guarded:#1864ab;--unguarded:#d9480f;--asked:#adb5bd;--bound:#c92a2a;--attack:#e6770022;
--pass:#2f9e44;--clamp:#f2b705;--resample:#7048e8;--refuse:#e8590c;--stop:#c92a2a;
color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--ink:#e9ecef;--soft:#9aa5b1;--paper:#14171a;--card:#1e2328;
--rule:#343b43;--guarded:#4dabf7;--unguarded:#ff922b;--asked:#5c6670;--bound:#ff6b6b;
--attack:#ff922b26}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1400px;padding:0 16px 64px;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:clamp(24px,4vw,38px);line-height:1.15;margin:4px 0 8px}
h2{font-size:20px;margin:44px 0 4px}h2+p{margin:0 0 12px;color:var(--soft)}
h3{font-size:12px;font-weight:600;margin:0;color:var(--soft)}
code{font-size:.9em}small{color:var(--soft)}
header{margin:16px 0 8px;padding:20px 24px;border-radius:12px;color:#fff}
header p{margin:0;opacity:.92}.brand{font-weight:600}
.held{background:#2b7a3e}.failed{background:#b02525}
.legend{margin:12px 2px}.legend span::before{content:"";display:inline-block;width:22px;height:4px;
border-radius:2px;margin-right:6px;vertical-align:middle;background:currentColor}
.legend span+span{margin-left:20px}
span.guarded,th.guarded{color:var(--guarded)}span.unguarded,th.unguarded{color:var(--unguarded)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(168px,1fr));gap:10px}
.card{background:var(--card);border-radius:10px;padding:12px 14px}
.card.wide{grid-column:span 2}
.card p{margin:0}.card .value{font-size:26px;font-weight:650;line-height:1.3;white-space:nowrap;
font-variant-numeric:tabular-nums}
.card .value span+span::before{content:"\\2192";color:var(--soft);margin:0 10px;font-weight:400}
.card .note{font-size:12px;color:var(--soft)}
.identity{display:flex;flex-wrap:wrap;gap:4px 28px;margin:14px 2px;font-size:13px}
.identity div{display:flex;gap:8px}.identity dt{color:var(--soft)}.identity dd{margin:0}
.identity span+span::before{content:"/";color:var(--soft);margin:0 5px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:5px 12px;border-bottom:1px solid var(--rule);text-align:right;white-space:nowrap}
th:first-child,.words{text-align:left}thead th{font-size:12px;font-weight:600;color:var(--soft)}
tbody th{font-weight:500}td.good{color:var(--pass);font-weight:650}
td.warn{font-weight:650}td.bad{color:var(--bound);font-weight:650}
td.words{width:45%;min-width:260px;white-space:normal}
.bar{display:flex;height:9px;border-radius:5px;overflow:hidden;margin:2px 0}.bar i{min-width:2px}
.meter{display:block;height:9px;border-radius:5px;background:var(--guarded)}
.o-pass{background:var(--pass);fill:var(--pass)}.o-clamp{background:var(--clamp);fill:var(--clamp)}
.o-resample{background:var(--resample);fill:var(--resample)}
.o-refuse{background:var(--refuse);fill:var(--refuse)}
.o-stop{background:var(--stop);fill:var(--stop)}.broken{fill:var(--bound)}
.outcomes-key i{display:inline-block;width:12px;height:12px;border-radius:3px;margin:0 5px 0 14px;
vertical-align:-1px}
.bar-top{position:sticky;top:0;z-index:5;background:var(--paper);padding:8px 0 6px;
border-bottom:1px solid var(--rule);display:flex;gap:6px;overflow-x:auto;align-items:center}
button{font:inherit;font-size:13px;padding:3px 11px;border-radius:14px;border:1px solid var(--rule);
background:var(--card);color:var(--ink);cursor:pointer;white-space:nowrap}
button:hover,button.on{border-color:var(--guarded);color:var(--guarded)}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:6px 22px;align-items:start}
.pair>.empty{color:var(--soft);font-size:13px;align-self:center}
.side{min-width:0}.side>h3{font-size:14px;margin-top:8px}
.chart{margin:8px 0 2px}.chart figcaption{font-size:12px;display:flex;flex-wrap:wrap;gap:0 12px}
.unit{color:var(--soft)}.key{font-variant-numeric:tabular-nums}
.key::before{content:"";display:inline-block;width:12px;height:3px;margin-right:5px;
vertical-align:middle;background:currentColor}
.key.guarded{color:var(--guarded)}.key.unguarded{color:var(--unguarded)}
.key.asked,.key.measured{color:var(--soft)}.key.asked::before{background:var(--asked)}
.key.out{font-weight:700}.key.out::after{content:" \\26a0";color:var(--bound)}
.plot{position:relative;overflow:hidden;height:116px;background:var(--card);border-radius:6px;
touch-action:pan-y}
.chart.tall .plot{height:150px}
.inner{position:relative;height:100%;width:calc(100%*var(--zoom,1));
margin-left:calc(-100%*var(--left,0)*var(--zoom,1))}
.plot svg{display:block;width:100%;height:100%}
path{fill:none;stroke-width:1.4;vector-effect:non-scaling-stroke;stroke-linejoin:round;
stroke-linecap:round}
path.guarded{stroke:var(--guarded)}path.unguarded{stroke:var(--unguarded)}
path.asked{stroke:var(--asked);stroke-width:1}path.measured{stroke:var(--soft);stroke-width:1;
stroke-dasharray:2 3}
path.dots{stroke-width:5}
.bound{stroke:var(--bound);stroke-width:1.2;stroke-dasharray:6 4;vector-effect:non-scaling-stroke}
.beyond{fill:var(--bound);opacity:.09}.attack{fill:var(--attack)}
.axis{position:absolute;left:5px;font-size:11px;color:var(--soft);z-index:2;pointer-events:none;
font-variant-numeric:tabular-nums}
.axis.top{top:1px}.axis.bottom{bottom:1px}
.strip{height:20px;margin-top:3px;border-radius:4px}
.strip .attack{fill:var(--unguarded);opacity:.55}
.strip .name{position:absolute;right:5px;top:1px;font-size:11px;color:var(--soft);z-index:2;
pointer-events:none}
.label{position:absolute;top:2px;font-size:11px;line-height:16px;padding-left:3px;cursor:pointer;
white-space:nowrap;max-width:22ch;overflow:hidden}
.time{height:18px;background:none}.time span{position:absolute;font-size:11px;color:var(--soft);
transform:translateX(-50%)}.time span:first-child{transform:none}
.time span:last-child{transform:translateX(-100%)}
.cursor{position:absolute;top:0;bottom:0;width:1px;background:var(--ink);opacity:.5;z-index:3;
pointer-events:none;display:none}
.read{color:var(--ink);font-variant-numeric:tabular-nums}
details{margin:6px 0}summary{cursor:pointer;font-weight:600;padding:4px 0}
figure.frames{margin:14px 0 22px}.frames figcaption{margin-bottom:6px}
.grid{display:grid;grid-template-columns:82px repeat(var(--moments),minmax(0,1fr));gap:5px;
max-width:1080px;align-items:center}
.grid img{width:100%;border-radius:6px;display:block}.grid .run{font-size:13px;font-weight:600}
.no-frame{color:var(--soft);font-size:12px;text-align:center}
@media(max-width:760px){body{padding:0 10px 48px;font-size:14px}.pair{grid-template-columns:1fr}
.card .value{font-size:21px}.cards{grid-template-columns:1fr 1fr}
.grid{grid-template-columns:repeat(var(--moments),minmax(0,1fr))}.grid>span:first-child{display:none}
.grid .run{grid-column:1/-1}header{padding:16px}.plot{height:96px}th,td{padding:4px 8px}}
@media print{.bar-top{display:none}figure{break-inside:avoid}}
"""
