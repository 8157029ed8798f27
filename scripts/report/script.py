"""What the report does when it is touched: zoom both runs onto an attack, drag to zoom, read values.

Without a script the page shows everything but values under the pointer.
"""

from __future__ import annotations

__all__ = ["SCRIPT"]

SCRIPT = """
"use strict";
const sides=[...document.querySelectorAll("[data-run]")],runs={};
for(const side of sides){const run=side.dataset.run;
 (runs[run]??={duration:+side.dataset.duration,sides:[],from:0,to:+side.dataset.duration})
 .sides.push(side)}
const BEFORE=0.3,AFTER=1.0;
function show(run,from,to){const r=runs[run];if(!(r&&r.duration>0))return;
 const width=Math.min(Math.max(to-from,0.05),r.duration);
 from=Math.min(Math.max(from,0),r.duration-width);r.from=from;r.to=from+width;
 for(const side of r.sides){side.style.setProperty("--zoom",r.duration/width);
  side.style.setProperty("--left",from/r.duration)}
 for(const side of r.sides)for(const axis of side.querySelectorAll(".time .inner")){
  axis.textContent="";const steps=[.02,.05,.1,.2,.5,1,2,5,10,20,50,100,200,500];
  const step=steps.find(s=>width/s<=6)??1000;
  for(let t=Math.ceil(from/step)*step;t<=r.to+1e-9;t+=step){
   const mark=document.createElement("span");mark.textContent=(+t.toFixed(2))+" s";
   mark.style.left=100*t/r.duration+"%";mark.style.transform=
    t-from<width*.04?"none":r.to-t<width*.04?"translateX(-100%)":"";axis.append(mark)}}}
function showKind(kind){for(const run in runs){
  const first=runs[run].sides.flatMap(s=>[...s.querySelectorAll(".label")])
   .find(l=>l.dataset.kind===kind);
  if(kind===""||!first)show(run,0,runs[run].duration);
  else show(run,+first.dataset.first-BEFORE,+first.dataset.last+AFTER)}
 for(const b of document.querySelectorAll("button[data-kind]"))
  b.classList.toggle("on",b.dataset.kind===kind)}
document.addEventListener("click",e=>{const b=e.target.closest("button[data-kind]");
 if(!b)return;showKind(b.dataset.kind);
 if(!b.closest(".bar-top"))document.getElementById("curves").scrollIntoView({behavior:"smooth"})});
function points(path){if(path._p)return path._p;const xs=[],ys=[];let x=0,y=0;
 for(const m of path.getAttribute("d").matchAll(/([Ml])(-?\\d+)[ ]?(-?\\d+)/g)){
  if(m[1]==="M"){xs.push(NaN);ys.push(NaN);x=+m[2];y=+m[3]}else{x+=+m[2];y+=+m[3]}
  xs.push(x);ys.push(y)}
 const keep=xs.map((v,i)=>i).filter(i=>xs[i]===xs[i]);
 return path._p={xs:keep.map(i=>xs[i]),ys:keep.map(i=>ys[i])}}
function valueAt(path,ms){const {xs,ys}=points(path);if(!xs.length)return null;
 let a=0,b=xs.length-1;while(b-a>1){const m=(a+b)>>1;xs[m]<=ms?a=m:b=m}
 const i=Math.abs(xs[a]-ms)<Math.abs(xs[b]-ms)?a:b;return Math.abs(xs[i]-ms)>250?null:ys[i]}
function read(run,t){const r=runs[run];for(const side of r.sides){
  for(const plot of side.querySelectorAll(".plot:not(.time)")){let c=plot.querySelector(".cursor");
   if(!c){c=document.createElement("div");c.className="cursor";plot.append(c)}
   c.style.display=t===null?"none":"block";
   if(t!==null)c.style.left=100*(t-r.from)/(r.to-r.from)+"%"}
  for(const chart of side.querySelectorAll(".chart")){let out=chart.querySelector(".read");
   if(!out){out=document.createElement("span");out.className="read";
    chart.querySelector("figcaption").append(out)}
   if(t===null){out.textContent="";continue}
   const low=+chart.dataset.low,high=+chart.dataset.high,words=[];
   for(const path of chart.querySelectorAll("path")){const y=valueAt(path,1000*t);
    if(y!==null)words.push(path.dataset.label+" "+(high-(high-low)*y/1000).toPrecision(3))}
   out.textContent="@ "+t.toFixed(2)+" s: "+words.join(", ")}}}
let drag=null;
for(const side of sides){const run=side.dataset.run,r=runs[run];
 const timeAt=e=>{const p=e.target.closest?.(".plot");if(!p)return null;
  const box=p.getBoundingClientRect();
  return r.from+(r.to-r.from)*Math.min(1,Math.max(0,(e.clientX-box.left)/box.width))};
 side.addEventListener("pointermove",e=>read(run,timeAt(e)));
 side.addEventListener("pointerleave",()=>{read(run,null);drag=null});
 side.addEventListener("pointerdown",e=>{const t=timeAt(e);if(t!==null&&e.pointerType==="mouse"){
  drag={run,t};e.preventDefault()}});
 side.addEventListener("pointerup",e=>{const t=timeAt(e),label=e.target.closest?.(".label");
  if(label)showKind(label.dataset.kind);
  else if(drag&&drag.run===run&&t!==null&&Math.abs(t-drag.t)>(r.to-r.from)*.015)
   show(run,Math.min(t,drag.t),Math.max(t,drag.t));drag=null});
 side.addEventListener("dblclick",()=>show(run,0,r.duration))}
"""
